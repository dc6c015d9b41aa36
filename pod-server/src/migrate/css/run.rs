//! Taking over a folder: account by account, first its storages, then the account itself in one commit.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::super::report::{Finding, MigrateError, Outcome, Summary};
use super::folder::{Source, StorageFolder};
use super::plan::{MovingAccount, MovingPod, Plan, plan};
use crate::archive::{self, About, Check, Destination, Entries, ReadLimits, Rebase, Storages};
use crate::authz::AuthorizationSystem;
use crate::config::LdpSection;
use crate::identity::account::AccountTools;
use crate::identity::account::LOGIN_CHARACTERS_MAX;
use crate::identity::adopt::{Adoption, adopt, adopted, has_webid, is_taken};
use crate::identity::credential::FormerCredential;
use crate::identity::{AccountKind, FirstLogin, NewAccount, Passwords, Site};
use crate::ldp::intake::Rules;
use crate::name::ResourceName;
use crate::store::{ReadPermit, Store};

/// Conflicts that an error names.
const CONFLICTS_NAMED_MAX: usize = 20;

/// Shortest secret of client credentials that is taken over, in bytes: what can be guessed is not.
const SECRET_BYTES_MIN: usize = 32;

/// What to take over.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder (`--rootFilePath`).
    pub folder: PathBuf,
    /// The URL that the server had, where the folder does not know it.
    pub base_url: Option<String>,
    /// Storages that get another name: old name and new.
    pub rename: BTreeMap<String, String>,
    /// The authorization system that the server used, where the folder does not tell.
    pub system: Option<AuthorizationSystem>,
    /// Only look, and store nothing.
    pub dry_run: bool,
}

/// The server that takes it over.
pub struct Target<'t> {
    /// Its store; nobody else uses it.
    pub store: &'t Arc<dyn Store>,
    /// For making accounts.
    pub tools: AccountTools<'t>,
    /// For waiting while accounts are stored.
    pub runtime: Handle,
    /// Bounds on documents.
    pub bounds: &'t LdpSection,
    /// Bytes that a storage may hold.
    pub quota_bytes_max: u64,
    /// Client credentials that an account may have.
    pub credentials_max: usize,
}

/// Takes a folder over. `found` hears what cannot be taken over as it is, `heard` which storage is at hand and how many of
/// its entries. It blocks: call it on a thread that may, inside a runtime.
///
/// # Errors
/// [`MigrateError`]. What was finished before stands, and running it again goes on where it stopped.
pub fn run(
    target: &Target<'_>,
    options: &Options,
    found: &mut dyn FnMut(&Finding) -> io::Result<()>,
    heard: &mut dyn FnMut(&str, u64, u64),
) -> Result<Summary, MigrateError> {
    let mut running = Running {
        target,
        dry_run: options.dry_run,
        summary: Summary::default(),
        found,
        heard,
        unwritten: None,
        system: AuthorizationSystem::default(),
        storages: Arc::new(Storages {
            old: String::new(),
            now: BTreeMap::new(),
        }),
    };
    let plan = plan(options, &mut |finding| running.say(finding))?;
    running.written()?;
    running.refuse_conflicts(&plan)?;
    running.storages = storages(target, &plan)?;
    running.system = plan.system;
    for account in &plan.accounts {
        running.account(account)?;
        running.written()?;
    }
    Ok(running.summary)
}

/// Where each storage was and is.
fn storages(target: &Target<'_>, plan: &Plan) -> Result<Arc<Storages>, MigrateError> {
    let mut now = BTreeMap::new();
    for pod in plan.accounts.iter().flat_map(|account| &account.pods) {
        if let Some(old) = pod.iri.strip_prefix(&plan.base_url) {
            now.insert(old.trim_end_matches('/').to_owned(), new_root(target, pod)?);
        }
    }
    Ok(Arc::new(Storages {
        old: plan.base_url.clone(),
        now,
    }))
}

fn new_root(target: &Target<'_>, pod: &MovingPod) -> Result<String, MigrateError> {
    let permit = ReadPermit::without_proof("the operator asks which storages exist");
    let came_before = target.store.snapshot(permit)?.storage(&root(pod)?)?.is_some();
    let origins = target.tools.site.origins();
    Ok(if came_before {
        origins.root(&pod.name)
    } else {
        origins.new_root(&pod.name)
    })
}

struct Running<'r> {
    target: &'r Target<'r>,
    dry_run: bool,
    summary: Summary,
    found: &'r mut dyn FnMut(&Finding) -> io::Result<()>,
    heard: &'r mut dyn FnMut(&str, u64, u64),
    unwritten: Option<io::Error>,
    system: AuthorizationSystem,
    storages: Arc<Storages>,
}

impl Running<'_> {
    fn say(&mut self, finding: Finding) {
        self.summary.findings += 1;
        if self.unwritten.is_none() {
            self.unwritten = (self.found)(&finding).err();
        }
    }

    fn tell(&mut self, outcome: Outcome, what: impl Into<String>, reason: impl Into<String>) {
        self.say(Finding {
            outcome,
            what: what.into(),
            reason: reason.into(),
        });
    }

    /// A report that cannot be written ends everything: nothing is to be lost unsaid.
    fn written(&mut self) -> Result<(), MigrateError> {
        self.unwritten
            .take()
            .map_or(Ok(()), |error| Err(MigrateError::Report(error)))
    }

    /// Nothing is stored where a name is somebody else's.
    fn refuse_conflicts(&mut self, plan: &Plan) -> Result<(), MigrateError> {
        let store = self.target.store.as_ref();
        let mut conflicts = Vec::new();
        for account in &plan.accounts {
            if adopted(store, &came_from(account))?.is_some() {
                continue;
            }
            for pod in &account.pods {
                let root = root(pod)?;
                let exists = store
                    .snapshot(ReadPermit::without_proof("the operator asks which storages exist"))?
                    .storage(&root)?
                    .is_some();
                if is_taken(store, &pod.name)? || (exists && !archive::has_begun(store, &root)?) {
                    conflicts.push(pod.name.clone());
                }
            }
        }
        if conflicts.is_empty() {
            return Ok(());
        }
        let named = conflicts.iter().take(CONFLICTS_NAMED_MAX).cloned().collect::<Vec<_>>();
        Err(MigrateError::Conflict(format!(
            "{} names are taken here already, so nothing was stored: {}. Use an empty server, or `--rename OLD=NEW`",
            conflicts.len(),
            named.join(", ")
        )))
    }

    fn account(&mut self, account: &MovingAccount) -> Result<(), MigrateError> {
        if adopted(self.target.store.as_ref(), &came_from(account))?.is_some() {
            self.summary.accounts_before += 1;
            return Ok(());
        }
        let rebase = Rebase::of_server(
            Arc::clone(&self.storages),
            (&self.storages.old, self.target.tools.site.issuer()),
        );
        let webids = self.webids(account, &rebase)?;
        let mut roots = Vec::new();
        for pod in &account.pods {
            match self.storage(pod, &webids, &rebase)? {
                true => roots.push(Site::root(&pod.name)),
                // An account comes once and whole: with what it has, when everything fits.
                false => {
                    let what = format!("account {} with {}", account.old.id, pod.iri);
                    let reason = "one of its storages cannot come along yet; run this again when it can";
                    self.tell(Outcome::LeftOut, what, reason);
                    return Ok(());
                }
            }
        }
        let adoption = self.adoption(account, webids, &rebase, roots);
        self.summary.accounts += 1;
        if self.dry_run {
            return Ok(());
        }
        let name = adoption.new.name.clone();
        let made = self
            .target
            .runtime
            .block_on(adopt(self.target.store.as_ref(), self.target.tools, adoption));
        let made = made.map_err(|error| MigrateError::Account {
            name: name.clone(),
            error,
        })?;
        self.summary.setup_urls.extend(made.setup_url.map(|url| (name, url)));
        Ok(())
    }

    /// Takes a storage over; false when all of it stays behind for now.
    fn storage(&mut self, pod: &MovingPod, webids: &[String], rebase: &Rebase) -> Result<bool, MigrateError> {
        let target = self.target;
        let is_ours = |owner: &&String| webids.contains(owner);
        let owner = pod.owners.iter().find(is_ours).or_else(|| webids.first());
        let owner = owner.cloned().unwrap_or_else(|| profile(&pod.iri));
        for other in pod.owners.iter().filter(|other| **other != owner) {
            let reason =
                format!("{other} owned it too; its owner here is {owner}, and others keep what access rules give");
            self.tell(Outcome::Changed, pod.iri.clone(), reason);
        }
        let destination = Destination {
            root: root(pod)?,
            owner: Some(rebase.iri(&owner)),
            issuer: target.tools.site.issuer().to_owned(),
            origins: target.tools.site.origins().clone(),
            bounds: target.bounds.clone(),
            limits: ReadLimits::default(),
            rebase: Some(rebase.clone()),
        };
        let source = Source {
            path: pod.folder.clone(),
            about: About {
                format: String::new(),
                version: 0,
                storage: pod.iri.clone(),
                owner: owner.clone(),
                issuer: self.storages.old.clone(),
                authorization: self.system,
                written: String::new(),
                holds: String::new(),
            },
            root: destination.root.clone(),
            rules: Rules {
                origins: destination.origins.clone(),
                bounds: target.bounds.clone(),
                system: self.system,
                owner: rebase.iri(&owner),
            },
        };
        let failed = |error| MigrateError::Storage {
            storage: pod.name.clone(),
            error,
        };
        let (summary, found, unwritten) = (&mut self.summary, &mut *self.found, &mut self.unwritten);
        let mut say = |finding: Finding| {
            summary.findings += 1;
            if unwritten.is_none() {
                *unwritten = found(&finding).err();
            }
        };
        let mut folder = StorageFolder::new(&source, &mut say);
        let heard = &mut *self.heard;
        let mut count = |entries, bytes| heard(&pod.name, entries, bytes);
        let mut check = Check::new(target.store, &destination, &mut count).map_err(failed)?;
        let checked = folder
            .read(&mut |about, item, content| check.entry(about, item, content))
            .map_err(failed)?;
        folder.looked_at();
        if checked.1.bytes > target.quota_bytes_max {
            let reason = format!(
                "it holds {} bytes and a storage may hold {} (`store.quota_bytes_max`)",
                checked.1.bytes, target.quota_bytes_max
            );
            drop(folder);
            self.tell(Outcome::LeftOut, pod.iri.clone(), reason);
            return Ok(false);
        }
        if !self.dry_run {
            archive::store_entries(target.store, &mut folder, &destination, &checked, &mut count).map_err(failed)?;
        }
        drop(folder);
        self.summary.storages += 1;
        self.summary.resources += checked.1.entries;
        self.summary.bytes += checked.1.bytes;
        Ok(true)
    }

    /// The WebIDs that an account goes on with, as they were: that of its first storage's profile first.
    fn webids(&mut self, account: &MovingAccount, rebase: &Rebase) -> Result<Vec<String>, MigrateError> {
        let mut webids: Vec<String> = Vec::new();
        let own: Vec<String> = account.pods.iter().map(|pod| profile(&pod.iri)).collect();
        let is_own = |webid: &str| account.pods.iter().any(|pod| webid.starts_with(&pod.iri));
        let linked: Vec<&str> = account.old.webids().collect();
        let first = own.iter().map(String::as_str).filter(|own| linked.contains(own));
        for webid in first.chain(linked.iter().copied()) {
            let moved = rebase.iri(webid);
            if webids.iter().any(|known| known == webid) {
                continue;
            }
            // A WebID in a storage of this server is that of the storage's account, whoever was let in there.
            let others = (moved != webid || self.target.tools.site.origins().hold(&moved)) && !is_own(webid);
            if others || has_webid(self.target.store.as_ref(), &moved)? {
                let reason = format!(
                    "a WebID that the account {} had too; it belongs to another one here",
                    account.old.id
                );
                self.tell(Outcome::LeftOut, webid, reason);
                continue;
            }
            if moved == webid && !is_own(webid) {
                let reason =
                    "a WebID that lies elsewhere: its profile must name this server as issuer before it can be used";
                self.tell(Outcome::Changed, webid, reason);
            }
            webids.push(webid.to_owned());
        }
        if webids.is_empty() {
            webids.extend(own.into_iter().take(1));
        }
        Ok(webids)
    }

    fn adoption(
        &mut self,
        account: &MovingAccount,
        webids: Vec<String>,
        rebase: &Rebase,
        roots: Vec<String>,
    ) -> Adoption {
        let old = &account.old;
        // The first storage is the one whose own profile the account has.
        let is_own = |pod: &&MovingPod| webids.contains(&profile(&pod.iri));
        let first = account.pods.iter().find(is_own).or_else(|| account.pods.first());
        let name = first.map(|pod| pod.name.clone()).unwrap_or_default();
        let mut webids = webids.iter().map(|webid| rebase.iri(webid));
        let webid = webids.next().unwrap_or_default();
        let webids: Vec<String> = webids.collect();
        let (email, password_hash) = self.login(account, &name);
        let credentials = self.credentials(account, &webid, rebase);
        for part in old.unknown_parts() {
            self.tell(
                Outcome::LeftOut,
                format!("account `{name}`: {part}"),
                "a kind of login that is not known here",
            );
        }
        Adoption {
            new: NewAccount {
                label: name.clone(),
                name,
                kind: AccountKind::Person,
                first_login: FirstLogin::SetupLink,
            },
            webid,
            webids,
            storages: roots,
            email,
            password_hash,
            credentials,
            came_from: Some(came_from(account)),
        }
    }

    /// Address and password of the first login.
    fn login(&mut self, account: &MovingAccount, name: &str) -> (Option<String>, Option<String>) {
        let logins = account.old.logins();
        let mut logins = logins.into_iter();
        let Some(first) = logins.next() else {
            let reason = "no login with a password: its holder gets a link for choosing one";
            self.tell(Outcome::Changed, format!("account `{name}`"), reason);
            return (None, None);
        };
        for other in logins {
            let reason = format!(
                "a further login of the account `{name}`, which has one here: {} counts",
                first.email
            );
            self.tell(Outcome::LeftOut, other.email.clone(), reason);
        }
        let email = first.email.trim().to_lowercase();
        let taken = is_taken(self.target.store.as_ref(), &email).unwrap_or(true);
        let email = if taken || !email.contains('@') || email.chars().count() > LOGIN_CHARACTERS_MAX {
            let reason = format!("no address that one can log in with here, or another account's: log in as `{name}`");
            self.tell(Outcome::Changed, first.email.clone(), reason);
            None
        } else {
            Some(email)
        };
        if Passwords::is_foreign(&first.password) {
            return (email, Some(first.password.clone()));
        }
        let reason = "the password's hash is of an unknown or too costly kind: its holder gets a link for choosing one";
        self.tell(Outcome::Changed, first.email.clone(), reason);
        (email, None)
    }

    fn credentials(&mut self, account: &MovingAccount, webid: &str, rebase: &Rebase) -> Vec<FormerCredential> {
        let mut kept = Vec::new();
        for credential in account.old.credentials() {
            let reason = if rebase.iri(&credential.web_id) != webid {
                "client credentials for another than the account's first WebID, under which they act here: make new ones"
            } else if credential.secret.len() < SECRET_BYTES_MIN {
                "client credentials with a short secret: make new ones"
            } else if kept.len() >= self.target.credentials_max {
                "more client credentials than an account may have (`identity.credentials_max`)"
            } else {
                kept.push(FormerCredential {
                    id: credential.label.clone(),
                    secret: credential.secret.clone(),
                });
                continue;
            };
            self.tell(Outcome::LeftOut, credential.label.clone(), reason);
        }
        kept
    }
}

fn came_from(account: &MovingAccount) -> String {
    format!("css/{}", account.old.id)
}

fn root(pod: &MovingPod) -> Result<ResourceName, MigrateError> {
    ResourceName::parse(&Site::root(&pod.name)).map_err(|error| MigrateError::Folder {
        folder: pod.folder.display().to_string(),
        reason: error.to_string(),
    })
}

/// The WebID that a storage's own profile has, where its owner has one there.
fn profile(root: &str) -> String {
    format!("{root}profile/card#me")
}
