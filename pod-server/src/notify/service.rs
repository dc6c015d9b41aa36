//! The HTTP side of notifications: subscription services, channels, and the capability URLs from which clients receive.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use parking_lot::Mutex;
use policies::request::Agent;
use serde_json::{Map, Value, json};
use server_kit::authn::LocalGrants;
use server_kit::body::{self, Body, ReadLimits, Reader};
use server_kit::clock::Clock;
use server_kit::problem::Problem;
use server_kit::random::Random;
use server_kit::shutdown::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::change::Position;
use super::channel::{Channel, ChannelType, milliseconds};
use super::config::NotifyConfig;
use super::context::Context;
use super::deliver::Delivery;
use super::intake::Intake;
use super::past;
use super::records;
use super::registry::Registry;
use super::request::{Surroundings, Wanted, check_media_type};
use super::rights::Rights;
use super::stream::Outlet;
use super::webhook::{DeliveryState, WebhookParts, Webhooks};
use super::{discovery, gateway, http_stream, web_socket};
use crate::authz::{Caller, Pep};
use crate::error::Error;
use crate::ldp::headers;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{ReadPermit, Store};

/// Random bytes of a channel's id and of the capability in `receiveFrom`.
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
/// How long connections may take to say good-bye when the server stops.
const FAREWELLS: Duration = Duration::from_secs(5);
/// Methods of a channel, and of a capability URL.
const CHANNEL_METHODS: &str = "DELETE, GET, HEAD, OPTIONS";
const RECEIVE_METHODS: &str = "GET, OPTIONS";
const LOOKING: &str = "whether a storage exists is public";

/// What the service is built from.
pub struct NotifyParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Decides and records.
    pub pep: Arc<Pep>,
    /// Whether what tokens were given for stands.
    pub grants: Arc<dyn LocalGrants>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and capabilities.
    pub random: Arc<dyn Random>,
    /// Where the resources of the server are.
    pub origins: Origins,
    /// What sends webhooks.
    pub webhooks: WebhookParts,
    /// Bounds.
    pub bounds: NotifyConfig,
}

/// Notifications of one server.
pub struct NotifyService {
    delivery: Arc<Delivery>,
    grants: Arc<dyn LocalGrants>,
    random: Arc<dyn Random>,
    room: Arc<Semaphore>,
}

impl NotifyService {
    /// The service. It listens to the store from now on and delivers from [`Self::start`] on.
    pub fn new(parts: NotifyParts) -> Self {
        let registry = Arc::new(Registry::default());
        let epoch = Arc::clone(parts.pep.pip().epoch());
        let intake = Arc::new(Intake::new(
            Arc::clone(&registry),
            epoch,
            parts.bounds.intake_events_max,
        ));
        parts.store.listen(Arc::clone(&intake) as _);
        intake.begin(*parts.store.watch().borrow());
        let delivery = Delivery {
            store: parts.store,
            clock: parts.clock,
            rights: Rights::new(parts.pep),
            registry,
            intake,
            origins: parts.origins,
            webhooks: Webhooks::new(parts.webhooks, parts.bounds.webhook.clone()),
            lanes: Mutex::new(HashMap::new()),
            bounds: parts.bounds,
        };
        Self {
            room: Arc::new(Semaphore::new(delivery.bounds.connections_max)),
            delivery: Arc::new(delivery),
            grants: parts.grants,
            random: parts.random,
        }
    }

    /// Begins to deliver. The tasks end after the shutdown, when every stream has ended.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<JoinHandle<()>> {
        vec![
            tokio::spawn(Arc::clone(&self.delivery).run(shutdown.clone())),
            tokio::spawn(Arc::clone(&self.delivery).watch_rights(shutdown.clone())),
            tokio::spawn(Arc::clone(self).sweep(shutdown.clone())),
            tokio::spawn(Arc::clone(&self.delivery).keep_webhooks(shutdown.clone())),
            tokio::spawn(Arc::clone(self).end(shutdown.clone())),
        ]
    }

    /// Ends every stream and delivery when the server stops, waits until they are gone, and keeps how far they are.
    async fn end(self: Arc<Self>, shutdown: Shutdown) {
        shutdown.wait().await;
        self.delivery.registry.stop();
        let all = u32::try_from(self.delivery.bounds.connections_max).unwrap_or(u32::MAX);
        if tokio::time::timeout(FAREWELLS, self.room.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!("notification streams that did not end in time were cut");
        }
        self.delivery.webhooks.stop().await;
        self.delivery.keep_at_the_end().await;
    }

    /// Removes channels that have ended.
    async fn sweep(self: Arc<Self>, shutdown: Shutdown) {
        let period = Duration::from_secs(self.delivery.bounds.sweep_seconds);
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(period) => {}
            }
            loop {
                match records::remove_ended(self.delivery.store.as_ref(), self.now()).await {
                    Ok(ended) if ended.is_empty() => break,
                    Ok(ended) => {
                        for (_, id) in &ended {
                            self.delivery.registry.remove_webhook(id);
                        }
                        tracing::debug!(count = ended.len(), "notification channels have ended");
                    }
                    Err(error) => {
                        tracing::error!(%error, "ended notification channels could not be removed");
                        break;
                    }
                }
            }
        }
    }

    fn now(&self) -> i64 {
        milliseconds(self.delivery.clock.now())
    }

    /// Answers a request below `/{storage}/.notifications/`.
    ///
    /// # Errors
    /// Everything that is to become an error response.
    pub async fn handle(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        storage: &str,
        rest: &str,
    ) -> Result<Response<Body>, Error> {
        if let Some(kind) = ChannelType::named(rest) {
            return self.subscription_service(request, caller, storage, kind).await;
        }
        let mut parts = rest.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("gateway"), None, ..) => self.gateway(request, storage).await,
            (Some("channels"), Some(id), None, _) => self.channel(&request, caller, storage, id).await,
            (Some("receive"), Some(id), Some(secret), None) => {
                let channel = self.open_channel(storage, id, secret)?;
                self.receive(request, channel).await
            }
            _ => Err(Error::NotFound),
        }
    }

    async fn subscription_service(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        storage: &str,
        kind: ChannelType,
    ) -> Result<Response<Body>, Error> {
        let modified = self.storage_modified(storage)?;
        let (parts, incoming) = request.into_parts();
        match parts.method {
            Method::GET | Method::HEAD | Method::OPTIONS => {
                let context = profile(&parts.headers).unwrap_or_default();
                let mut response = discovery::service(&self.delivery.origins, storage, kind, context, modified)
                    .answer(&parts.method, &parts.headers)?;
                response
                    .headers_mut()
                    .insert(headers::ACCEPT_POST, HeaderValue::from_static("application/ld+json"));
                Ok(response)
            }
            Method::POST => {
                // Clients of the older negotiation go on with plain JSON.
                let plain = gateway::is_plain_json(&parts.headers);
                if !plain {
                    check_media_type(&parts.headers)?;
                }
                let bytes = self.read(incoming).await?;
                let bytes = if plain {
                    gateway::as_json_ld(&bytes, kind)?
                } else {
                    bytes
                };
                let channel = self.subscribe(&bytes, caller, storage, kind).await?;
                let description = if plain {
                    gateway::connection(&channel, &self.delivery.origins)
                } else {
                    self.describe(&channel)
                };
                let mut response = json_response(&description.into(), !plain);
                // The answer is the description of the new channel (RFC 9110 §9.3.3).
                if let Ok(iri) = HeaderValue::from_str(&channel.iri(&self.delivery.origins)) {
                    response.headers_mut().insert(CONTENT_LOCATION, iri);
                }
                Ok(response)
            }
            _ => Err(not_allowed(discovery::SERVICE_METHODS)),
        }
    }

    async fn read(&self, incoming: Incoming) -> Result<bytes::Bytes, Error> {
        let limits = ReadLimits {
            body_bytes_max: self.delivery.bounds.request_bytes_max,
            ..ReadLimits::default()
        };
        Ok(Reader::new(incoming, limits)?.all().await?)
    }

    /// Sets up a channel for someone who may read its topics now.
    async fn subscribe(
        &self,
        bytes: &[u8],
        caller: &Caller,
        storage: &str,
        kind: ChannelType,
    ) -> Result<Channel, Error> {
        let wanted = Wanted::read(
            bytes,
            &Surroundings {
                origins: &self.delivery.origins,
                storage,
                kind,
                now: self.now(),
                bounds: &self.delivery.bounds,
            },
        )?;
        if let Some(send_to) = &wanted.send_to {
            self.delivery.webhooks.check(caller, send_to).await?;
        }
        for topic in &wanted.topics {
            self.delivery.rights.require(caller, topic).await?;
        }
        let channel = Channel {
            id: self.random.token(ID_BYTES),
            storage: storage.to_owned(),
            kind,
            topics: wanted.topics,
            context: wanted.context,
            secret: match kind {
                ChannelType::WebhookChannel2023 => String::new(),
                _ => self.random.token(SECRET_BYTES),
            },
            send_to: wanted.send_to,
            start_at: wanted.start_at,
            end_at: wanted.end_at,
            state: wanted.state,
            rate_milliseconds: wanted.rate_milliseconds,
            accept: wanted.accept,
            syntax: wanted.syntax,
            subscriber: caller.subject.clone(),
            since: 0,
        };
        let store = self.delivery.store.as_ref();
        let channel = records::create(store, channel, &self.delivery.bounds).await?;
        // An approval that was withdrawn while this request came in ended the channels of before only.
        if caller
            .given_for
            .as_ref()
            .is_some_and(|grant| !self.grants.stands(grant))
        {
            records::remove(store, storage, &channel.id).await?;
            return Err(Error::Unauthenticated);
        }
        metrics::counter!("notification_subscriptions_total", "type" => kind.name()).increment(1);
        if channel.send_to.is_some() {
            self.delivery
                .adopt(channel.clone(), DeliveryState::default(), channel.since());
        }
        Ok(channel)
    }

    /// GET, HEAD, OPTIONS or DELETE of a channel, by the one who made it or by the owner of the storage. A channel that
    /// nobody in particular made belongs to whoever knows its name, which cannot be guessed.
    async fn channel(
        &self,
        request: &Request<Incoming>,
        caller: &Caller,
        storage: &str,
        id: &str,
    ) -> Result<Response<Body>, Error> {
        let channel = records::find(self.delivery.store.as_ref(), storage, id)?
            .filter(|channel| !channel.has_ended(self.now()))
            .ok_or(Error::NotFound)?;
        let agent = channel.subscriber.agent == caller.subject.agent;
        if !agent && !self.owns(caller, storage)? {
            return Err(Error::NotFound);
        }
        match *request.method() {
            Method::GET | Method::HEAD => {
                let mut description = self.describe(&channel);
                if let Some(hook) = self.delivery.registry.webhook(id) {
                    let (state, waiting) = hook.state();
                    description.insert("delivery".to_owned(), state.describe(waiting));
                    let term = json!({ "delivery": { "@id": vocab::meent::NOTIFICATION_DELIVERY, "@type": "@json" } });
                    description.insert("@context".to_owned(), json!([channel.context.iri(), term]));
                }
                // Capabilities are for the one who subscribed alone: the same agent through another application may have
                // other rights.
                if !agent || channel.subscriber.client != caller.subject.client {
                    description.remove("receiveFrom");
                    description.remove("sendTo");
                }
                let mut response = json_response(&description.into(), true);
                let made = self.storage_modified(storage)?;
                response
                    .headers_mut()
                    .insert(header::LAST_MODIFIED, headers::http_date(made));
                if *request.method() == Method::HEAD {
                    *response.body_mut() = body::empty();
                }
                Ok(response)
            }
            Method::OPTIONS => Ok(options(CHANNEL_METHODS)),
            Method::DELETE => {
                records::remove(self.delivery.store.as_ref(), storage, id).await?;
                self.delivery
                    .registry
                    .end_channel(&channel, super::stream::Ending::Over);
                self.delivery.registry.remove_webhook(id);
                let mut response = Response::new(body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                Ok(response)
            }
            _ => Err(not_allowed(CHANNEL_METHODS)),
        }
    }

    fn describe(&self, channel: &Channel) -> Map<String, Value> {
        channel.describe(&self.delivery.origins, self.delivery.webhooks.sender.web_id())
    }

    /// The document of the server as the sender of webhooks.
    ///
    /// # Errors
    /// 405 for other methods than GET, HEAD and OPTIONS, 406 and 412.
    pub fn sender(&self, method: &Method, request: &HeaderMap) -> Result<Response<Body>, Error> {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => {
                self.delivery.webhooks.sender.describe().answer(method, request)
            }
            _ => Err(not_allowed("GET, HEAD, OPTIONS")),
        }
    }

    fn owns(&self, caller: &Caller, storage: &str) -> Result<bool, Error> {
        let Agent::Authenticated(web_id) = &caller.subject.agent else {
            return Ok(false);
        };
        let root = ResourceName::parse(&format!("/{storage}/"))?;
        let snapshot = self.delivery.store.snapshot(ReadPermit::without_proof(LOOKING))?;
        Ok(snapshot
            .storage(&root)?
            .is_some_and(|storage| storage.owner == web_id.as_str()))
    }

    /// When the root of a storage was last changed, Unix seconds; 404 where there is no storage.
    fn storage_modified(&self, storage: &str) -> Result<i64, Error> {
        let root = ResourceName::parse(&format!("/{storage}/"))?;
        let snapshot = self.delivery.store.snapshot(ReadPermit::without_proof(LOOKING))?;
        let root = snapshot.resource(&root)?.ok_or(Error::NotFound)?;
        Ok(root.modified)
    }

    /// The channel behind a capability.
    fn open_channel(&self, storage: &str, id: &str, secret: &str) -> Result<Channel, Error> {
        let channel = records::find(self.delivery.store.as_ref(), storage, id)?;
        channel
            .filter(|channel| {
                !channel.secret.is_empty() && same(&channel.secret, secret) && !channel.has_ended(self.now())
            })
            .ok_or(Error::NotFound)
    }

    /// Opens a stream: the right to read is asked and recorded anew, for the one who subscribed.
    async fn receive(&self, mut request: Request<Incoming>, channel: Channel) -> Result<Response<Body>, Error> {
        match *request.method() {
            Method::GET => {}
            Method::OPTIONS => return Ok(options(RECEIVE_METHODS)),
            _ => return Err(not_allowed(RECEIVE_METHODS)),
        }
        let handshake = match channel.kind {
            ChannelType::WebSocketChannel2023 => Some(web_socket::open(&mut request)?),
            _ => None,
        };
        let subscriber = Caller {
            subject: channel.subscriber.clone(),
            ..Caller::default()
        };
        for topic in &channel.topics {
            self.delivery.rights.require(&subscriber, topic).await?;
        }
        let outlet = self.outlet(channel, last_event_id(request.headers()))?;
        match handshake {
            Some((response, upgrade)) => {
                let bounds = (&self.delivery.bounds).into();
                tokio::spawn(web_socket::run(upgrade, outlet, bounds));
                Ok(response)
            }
            None => Ok(http_stream::respond(outlet)),
        }
    }

    fn outlet(&self, channel: Channel, last: Option<Position>) -> Result<Outlet, Error> {
        let room = self.room()?;
        let now = self.now();
        let lasts = u64::try_from(channel.end_at.saturating_sub(now)).unwrap_or(0);
        let channel = Arc::new(channel);
        let bounds = &self.delivery.bounds;
        let registry = &self.delivery.registry;
        let stream = registry
            .join(
                &channel,
                *self.delivery.store.watch().borrow(),
                bounds.connections_per_channel_max,
            )
            .ok_or_else(|| Problem::unavailable("the channel has as many streams as it may have", 5))?;
        let mut outlet = Outlet::new(
            stream,
            Arc::clone(registry),
            room,
            Duration::from_millis(lasts),
            Duration::from_secs(bounds.ping_seconds),
        );
        // Only now: what happens from here on waits in the stream, and what happened before is in the store.
        let first: VecDeque<_> = past::missed(&self.delivery, &channel, last, now)?;
        outlet.begin_with(first);
        Ok(outlet)
    }

    fn room(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| Problem::unavailable("the server has as many notification streams as it may have", 30).into())
    }

    /// The negotiation that came before subscription services.
    async fn gateway(&self, request: Request<Incoming>, storage: &str) -> Result<Response<Body>, Error> {
        self.storage_modified(storage)?;
        match *request.method() {
            Method::OPTIONS => Ok(options(gateway::METHODS)),
            Method::POST => {
                let bytes = self.read(request.into_body()).await?;
                let answer = gateway::negotiate(&bytes, &self.delivery.origins, storage)?;
                Ok(json_response(&answer, false))
            }
            _ => Err(not_allowed(gateway::METHODS)),
        }
    }
}

/// Whether two capabilities are equal, without telling by time where they differ.
fn same(kept: &str, sent: &str) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(kept.as_bytes()) == Sha256::digest(sent.as_bytes())
}

fn last_event_id(headers: &HeaderMap) -> Option<Position> {
    Position::parse(headers.get("last-event-id")?.to_str().ok()?)
}

/// The context that a request asks for by the `profile` of its `Accept`.
fn profile(headers: &HeaderMap) -> Option<Context> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    Context::ALL.into_iter().find(|context| accept.contains(context.iri()))
}

fn json_response(value: &Value, linked: bool) -> Response<Body> {
    let bytes = value.to_string().into_bytes();
    let media_type = if linked {
        "application/ld+json"
    } else {
        "application/json"
    };
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(body::full(bytes));
    let header_map = response.headers_mut();
    header_map.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    header_map.insert(CONTENT_LENGTH, length);
    header_map.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn options(allow: &'static str) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn not_allowed(allow: &'static str) -> Error {
    Error::MethodNotAllowed {
        allow: HeaderValue::from_static(allow),
    }
}
