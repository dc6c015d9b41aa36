//! `pod-server doctor`: looks at everything around the server that can be wrong, and says what to do about it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use time::OffsetDateTime;

use super::{ConfigFile, Failure, blocking, say};
use crate::config::Config;

/// Bytes that are written before each sync that is measured.
const SYNC_BYTES: usize = 4_096;

/// How long syncs are measured.
const SYNC_TIME: Duration = Duration::from_millis(500);

/// Syncs in a second below which writing is felt to be slow.
const SYNCS_PER_SECOND_MIN: f64 = 50.0;

/// Syncs in a second above which the disk is unlikely to keep what it promises: no disk without a battery is that quick.
const SYNCS_PER_SECOND_MAX: f64 = 50_000.0;

/// Open files that a server with its default bounds may need.
const FILES_MIN: u64 = 16_384;

/// Days before the end of a certificate from which its renewal is overdue.
const CERTIFICATE_DAYS_MIN: u32 = 14;

/// Bytes that should be free on the store's disk.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// 1 January 2026: no clock that is right shows an earlier time.
const EARLIEST: i64 = 1_767_225_600;

/// A label that stands for those of all storages.
const STORAGE: &str = "storage";

/// What one look found.
enum Finding {
    /// As it should be.
    Good(String),
    /// It works, but somebody should know.
    Doubtful(String),
    /// It will not work.
    Bad(String),
}

use Finding::{Bad, Doubtful, Good};

/// Looks at everything and prints a line for each finding.
///
/// # Errors
/// When something will not work.
pub(super) async fn doctor(file: &ConfigFile) -> Result<(), Failure> {
    let config = match file.load() {
        Ok(config) => {
            tell("configuration", &Good("sound".to_owned()));
            config
        }
        Err(error) => {
            tell("configuration", &Bad(error.to_string()));
            return Err(Failure::Said("the configuration cannot be used".to_owned()));
        }
    };
    let bad = blocking(move || Ok(examine(&config))).await?;
    if bad == 0 {
        Ok(())
    } else {
        Err(Failure::Said(format!("{bad} of these will not work")))
    }
}

fn examine(config: &Config) -> usize {
    // What lies above a relative path shows in its full form only.
    let store = std::path::absolute(&config.store.directory).unwrap_or_else(|_| config.store.directory.clone());
    let mut findings = vec![
        ("clock", clock()),
        ("files", open_files()),
        ("store", directory(&store)),
        ("disk", disk(&store)),
        ("journal", journal(config)),
    ];
    for (key, url) in [
        ("server.base_url", &config.server.base_url),
        ("server.console_url", &config.server.console_url),
    ] {
        findings.push((key, name(url)));
    }
    for (key, url, listen) in [
        (
            "server.content_listen",
            &config.server.base_url,
            config.server.content_listen,
        ),
        (
            "server.console_listen",
            &config.server.console_url,
            config.server.console_listen,
        ),
    ] {
        findings.extend(forwarded(url, listen).map(|finding| (key, finding)));
    }
    findings.extend(storage_name(config).map(|finding| ("server.subdomains", finding)));
    for (key, address) in [
        ("server.content_listen", Some(config.server.content_listen)),
        ("server.console_listen", Some(config.server.console_listen)),
        ("server.redirect_listen", config.server.redirect_listen),
        ("admin.listen", config.admin.listen),
    ] {
        findings.extend(address.map(|address| (key, port(address))));
    }
    findings.push(("tls", certificate(config)));
    for (what, finding) in &findings {
        tell(what, finding);
    }
    findings.iter().filter(|(_, finding)| matches!(finding, Bad(_))).count()
}

fn tell(what: &str, finding: &Finding) {
    let (word, text) = match finding {
        Good(text) => ("good", text),
        Doubtful(text) => ("LOOK", text),
        Bad(text) => ("BAD ", text),
    };
    say(&format!("{word}  {what}: {text}"));
}

fn clock() -> Finding {
    let clock = OffsetDateTime::now_utc();
    let now = crate::ui::words::instant(clock);
    if clock.unix_timestamp() < EARLIEST {
        return Bad(format!(
            "it shows {now}, which is in the past: tokens and certificates will be refused. Set the clock"
        ));
    }
    // systemd-timesyncd and chrony both leave a trace when they have set the clock.
    let kept = [
        "/run/systemd/timesync/synchronized",
        "/run/chrony/chronyd.pid",
        "/run/ntpd.pid",
    ];
    if kept.iter().any(|path| Path::new(path).exists()) {
        Good(format!("{now}, kept by a time service"))
    } else {
        Doubtful(format!(
            "{now}, and no time service is seen on this machine: a clock that drifts by a minute makes logins fail"
        ))
    }
}

fn open_files() -> Finding {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    match limit {
        None => Good("no limit is known".to_owned()),
        Some(limit) if limit >= FILES_MIN => Good(format!("{limit} may be open at one time")),
        Some(limit) => Doubtful(format!(
            "only {limit} may be open at one time, which bounds the connections too: raise it to {FILES_MIN} (`LimitNOFILE=` in \
             the unit file, as deploy/systemd does)"
        )),
    }
}

fn directory(directory: &Path) -> Finding {
    if !directory.exists() {
        let above = directory.ancestors().skip(1).find(|above| above.exists());
        return match above {
            Some(above) if writable(above) => Good(format!("`{}` will be made", directory.display())),
            _ => Bad(format!(
                "`{}` is not there and cannot be made by this user",
                directory.display()
            )),
        };
    }
    if directory.join(crate::backup::RESTORING).exists() {
        return Bad("a restore was not finished: run `pod-server restore` again".to_owned());
    }
    if !writable(directory) {
        return Bad(format!("this user may not write into `{}`", directory.display()));
    }
    if let Some(mode) = open_to_others(directory) {
        return Doubtful(format!(
            "others on this machine may look into `{0}` (mode {mode:o}): chmod 700 {0}",
            directory.display()
        ));
    }
    match fs::metadata(directory.join("store.sqlite")) {
        Ok(database) => Good(format!(
            "`{}`, a database of {} bytes",
            directory.display(),
            database.len()
        )),
        Err(_) => Good(format!(
            "`{}` is empty; the first start makes the store",
            directory.display()
        )),
    }
}

/// The mode of a directory that others than its owner may enter or list.
fn open_to_others(directory: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(directory).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

fn writable(directory: &Path) -> bool {
    let path = directory.join(format!(".doctor-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&path).is_ok();
    // It is there only if it was made.
    let _ = fs::remove_file(&path);
    made
}

/// How many times in a second the disk makes something durable, which bounds how fast anything is written.
fn disk(directory: &Path) -> Finding {
    let Some(place) = directory.ancestors().find(|place| place.exists()) else {
        return Bad("there is no directory to measure".to_owned());
    };
    let path = place.join(format!(".doctor-{}", std::process::id()));
    let measured = measure(&path);
    let _ = fs::remove_file(&path);
    match measured {
        Err(error) => Bad(format!("writing into `{}` failed: {error}", place.display())),
        Ok(rate) if rate < SYNCS_PER_SECOND_MIN => Doubtful(format!(
            "{rate:.0} syncs per second: single writes will take {:.0} ms; use a disk with a quicker sync",
            1_000.0 / rate
        )),
        Ok(rate) if rate > SYNCS_PER_SECOND_MAX => Doubtful(format!(
            "{rate:.0} syncs per second: hardly any disk does that truly. Is it a memory file system, or one that ignores syncs? \
             Then a power cut loses what was acknowledged"
        )),
        Ok(rate) => free(place, rate),
    }
}

fn measure(path: &Path) -> std::io::Result<f64> {
    let mut file = File::create(path)?;
    let bytes = [0_u8; SYNC_BYTES];
    let (began, mut count) = (Instant::now(), 0.0);
    while began.elapsed() < SYNC_TIME {
        file.write_all(&bytes)?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / began.elapsed().as_secs_f64())
}

fn free(place: &Path, rate: f64) -> Finding {
    // The system's own tool knows every kind of file system.
    let output = std::process::Command::new("df")
        .args(["--output=avail", "-B1"])
        .arg(place)
        .output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    match text.lines().nth(1).and_then(|line| line.trim().parse::<u64>().ok()) {
        Some(bytes) if bytes < FREE_BYTES_MIN => {
            Doubtful(format!("{rate:.0} syncs per second; only {bytes} bytes are free"))
        }
        Some(bytes) => Good(format!("{rate:.0} syncs per second, {} MiB free", bytes >> 20)),
        None => Good(format!("{rate:.0} syncs per second")),
    }
}

fn journal(config: &Config) -> Finding {
    use std::os::unix::fs::MetadataExt;
    let journal = config.backup.journal_path(&config.store.directory);
    let device = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        path.ancestors()
            .find_map(|place| fs::metadata(place).ok())
            .map(|found| found.dev())
    };
    if device(&journal) == device(&config.store.directory) {
        Doubtful(format!(
            "`{}` is on the same disk as the store: after the loss of that disk a restore has to end every consent. Put \
             `backup.revocation_journal` on another disk",
            journal.display()
        ))
    } else {
        Good(format!("`{}`, on another disk than the store", journal.display()))
    }
}

fn name(url: &url::Url) -> Finding {
    let (host, port) = (
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or(443),
    );
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            Good(format!("`{host}` is {}", addresses.join(", ")))
        }
        Err(error) => Bad(format!(
            "`{host}` has no address ({error}): add it to the DNS, or change the URL"
        )),
    }
}

/// Whether what clients ask reaches the listener only through something in front.
fn forwarded(url: &url::Url, listen: SocketAddr) -> Option<Finding> {
    let asked = url.port_or_known_default().filter(|asked| *asked != listen.port())?;
    Some(Doubtful(format!(
        "clients ask `{url}` on port {asked}, and the server listens on port {}: something in front has to pass it on",
        listen.port()
    )))
}

fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Good(format!("`{address}` is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Doubtful(format!("`{address}` is in use; that is right if the server runs now"))
        }
        Err(error) => Bad(format!("`{address}` cannot be used: {error}")),
    }
}

fn certificate(config: &Config) -> Finding {
    let Some(tls) = &config.tls else {
        return if config.server.base_url.scheme() == "https" {
            Doubtful("no `[tls]` section: a proxy in front has to speak TLS for the `https` URLs".to_owned())
        } else {
            Doubtful("plain HTTP: good for trying things out on this machine only".to_owned())
        };
    };
    if !tls.key_file.exists() {
        return Bad(format!("`{}` is missing", tls.key_file.display()));
    }
    let path = &tls.certificate_file;
    let leaf = match leaf(path) {
        Ok(leaf) => leaf,
        Err(reason) => return Bad(reason),
    };
    let soon = Asn1Time::days_from_now(CERTIFICATE_DAYS_MIN);
    let (now, until) = (Asn1Time::days_from_now(0), leaf.not_after());
    if now.as_ref().is_ok_and(|now| until < now) {
        return Bad(format!("the certificate ended on {until}: renew it"));
    }
    let urls = [&config.server.base_url, &config.server.console_url];
    let mut missing: Vec<String> = urls
        .iter()
        .filter_map(|url| url.host_str())
        .filter(|host| !covers(&leaf, host))
        .map(str::to_owned)
        .collect();
    let below = storages_of(config);
    missing.extend(below.filter(|host| !covers(&leaf, &host.replacen('*', STORAGE, 1))));
    if !missing.is_empty() {
        return Bad(format!("the certificate is not for {}", missing.join(" and ")));
    }
    if soon.as_ref().is_ok_and(|soon| until < soon) {
        return Doubtful(format!("the certificate ends on {until}: its renewal is overdue"));
    }
    Good(format!("a certificate for every name until {until}"))
}

fn leaf(path: &Path) -> Result<X509, String> {
    let pem = fs::read(path).map_err(|error| error.to_string());
    let leaf = pem.and_then(|pem| X509::from_pem(&pem).map_err(|error| error.to_string()));
    leaf.map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Why the certificate cannot be that of storages with an origin of their own; none where it can, or need not.
pub(super) fn unfit_for_storages(config: &Config) -> Option<String> {
    let (tls, below) = (config.tls.as_ref()?, storages_of(config)?);
    match leaf(&tls.certificate_file) {
        Ok(leaf) if covers(&leaf, &below.replacen('*', STORAGE, 1)) => None,
        Ok(_) => Some(format!(
            "the certificate is not for `{below}`, where `server.subdomains` puts storages"
        )),
        Err(reason) => Some(reason),
    }
}

/// The hosts of storages that have an origin of their own, as a name service and a certificate write them.
fn storages_of(config: &Config) -> Option<String> {
    let host = config.server.base_url.domain()?;
    config.server.subdomains.then(|| format!("*.{host}"))
}

/// Looks one storage's host up, whether or not there is such a storage.
fn storage_name(config: &Config) -> Option<Finding> {
    let below = storages_of(config)?;
    let mut url = config.server.base_url.clone();
    url.set_host(Some(&below.replacen('*', STORAGE, 1))).ok()?;
    Some(match name(&url) {
        Bad(text) => Bad(format!("{text}. Storages need `{below}` in the name service")),
        finding => finding,
    })
}

/// Whether a certificate names a host (RFC 6125: in full, or with one `*` for the first label).
fn covers(certificate: &X509, host: &str) -> bool {
    let Some(names) = certificate.subject_alt_names() else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>().ok();
    names.iter().any(|name| {
        if let Some(address) = address {
            let bytes = match address {
                std::net::IpAddr::V4(address) => address.octets().to_vec(),
                std::net::IpAddr::V6(address) => address.octets().to_vec(),
            };
            return name.ipaddress() == Some(&bytes);
        }
        let Some(pattern) = name.dnsname() else { return false };
        match pattern.strip_prefix("*.") {
            Some(domain) => host
                .split_once('.')
                .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
            None => pattern.eq_ignore_ascii_case(host),
        }
    })
}
