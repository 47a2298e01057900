//! One resource, listed and watched for as long as somebody listens.
//!
//! Rule: what was known stays until something newer is. Each failure waits longer than the one before; so does a watch that ends as
//! soon as it begins. kube's own watcher asks again at once there, holds a list as a whole and gives up a list for one bad object.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use kube::api::{ListParams, WatchParams};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracer_policy::model::{ObjectName, Text};

use super::board::Standing;
use super::fault::Fault;
use super::gather::News;
use super::item::Reader;
use super::list::{self, Page};
use super::resource::{RESOURCES, Resource};
use super::server::Server;
use super::{node, watch};
use crate::host::clock::monotonic;
use crate::kubernetes::Reach;
use crate::kubernetes::index::{Change, Origin};

/// A watch that lived for this long was none that ends at once.
const STEADY: Duration = Duration::from_secs(5);
/// Objects of one page, as client-go asks for them.
const PAGE: u32 = 500;

pub(super) struct Follower<'a> {
    pub(super) server: &'a Server,
    pub(super) reach: Reach,
    pub(super) number: usize,
    pub(super) resource: Resource,
    pub(super) news: mpsc::Sender<News>,
    pub(super) standing: Standing,
    pub(super) unreadable: BTreeMap<ObjectName, String>,
    /// What the last list or event was as of; `None`: to be listed.
    pub(super) version: Option<String>,
    /// `spec.nodeName=n1`
    pub(super) fields: Option<String>,
    api_version: &'static str,
    /// In pages, as of now: after the server's cache has failed.
    in_pages: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(server: &'a Server, reach: Reach, number: usize, news: mpsc::Sender<News>) -> Option<Self> {
        let resource = *RESOURCES.get(number)?;
        Some(Self {
            server,
            reach,
            number,
            resource,
            news,
            standing: Standing::default(),
            unreadable: BTreeMap::new(),
            version: None,
            fields: None,
            api_version: resource.versions.first()?,
            in_pages: false,
        })
    }

    pub(super) async fn run(mut self) {
        let (first, longest) = self.server.pace.retry;
        let mut wait = first;
        while !self.news.is_closed() {
            let began = Instant::now();
            let outcome = self.round().await;
            let is_steady = began.elapsed() >= STEADY && outcome.is_ok();
            wait = if is_steady { first } else { (wait * 2).min(longest) };
            let is_absent = matches!(outcome, Err(Fault::Absent));
            if let Err(fault) = outcome {
                self.failed(fault).await;
            }
            sleep(spread(if is_absent { self.server.pace.discovery } else { wait })).await;
        }
    }

    async fn round(&mut self) -> Result<(), Fault> {
        let version = match self.version.clone() {
            Some(version) => version,
            None => self.list().await?,
        };
        let watched = watch::watch(self, version).await;
        if self.standing.narrowed.is_some() {
            // Maybe all may be seen by now.
            self.version = None;
        }
        watched
    }

    /// Pods that come while nobody tells us of them have addresses as well.
    pub(super) async fn knows_pods(&self, is_told: bool) {
        if self.resource.listed_as.is_none() {
            let knows = is_told && self.fields.is_none() && self.unreadable.is_empty();
            self.tell(Change::PodsKnown(knows)).await;
        }
    }

    async fn failed(&mut self, fault: Fault) {
        self.knows_pods(false).await;
        match &fault {
            Fault::Silent(_) | Fault::Busy(_) | Fault::Credentials(_) | Fault::Access(_) => {}
            Fault::Gone | Fault::Nonsense(_) | Fault::Forbidden(_) => self.version = None,
            Fault::Absent => {
                self.version = None;
                let was_listed = self.standing.is_listed;
                self.unreadable.clear();
                self.standing = Standing { is_absent: true, ..Standing::default() };
                if was_listed {
                    self.tell(self.all_are(HashSet::new(), HashSet::new())).await;
                }
                return self.post().await;
            }
        }
        if fault == Fault::Gone {
            return;
        }
        self.standing.fault = Some(fault);
        self.post().await;
    }

    /// Gives the version that it is as of.
    async fn list(&mut self) -> Result<String, Fault> {
        self.look_for_version().await?;
        self.narrow_if_planned().await?;
        let listed = match self.list_all().await {
            Err(Fault::Forbidden(said)) if self.fields.is_none() => match self.narrow(&said).await {
                Ok(()) => self.list_all().await,
                Err(fault) => Err(fault),
            },
            listed => listed,
        };
        match &listed {
            Err(Fault::Forbidden(_)) => self.standing.is_listed = false,
            Err(Fault::Gone | Fault::Nonsense(_) | Fault::Busy(_)) => self.in_pages = true,
            _ => self.in_pages = false,
        }
        listed
    }

    /// The first version of the resource that the server has. What every cluster has is not looked for, unless it is not there.
    async fn look_for_version(&mut self) -> Result<(), Fault> {
        if !self.resource.is_optional && self.resource.versions.len() == 1 {
            return Ok(());
        }
        for version in self.resource.versions {
            let known = match self.server.get(&self.resource.root(version)).await {
                Ok(known) => known,
                Err(Fault::Absent) => continue,
                Err(fault) => return Err(fault),
            };
            let mut resources = known.get("resources").and_then(Value::as_array).into_iter().flatten();
            if resources.any(|entry| entry.get("name").and_then(Value::as_str) == Some(self.resource.name)) {
                self.api_version = version;
                self.standing.is_absent = false;
                return Ok(());
            }
        }
        Err(Fault::Absent)
    }

    async fn narrow_if_planned(&mut self) -> Result<(), Fault> {
        let Some(own) = self.resource.own else { return Ok(()) };
        if self.reach != Reach::Node {
            (self.fields, self.standing.narrowed) = (None, None);
            return Ok(());
        }
        let unknown =
            || Fault::Access("no node of the cluster has this machine's name or address: set NODE_NAME".to_owned());
        let name = node::name(self.server).await?.ok_or_else(unknown)?;
        self.fields = Some(format!("{own}={name}"));
        Ok(())
    }

    /// Who may not see all may mostly see this node's, as kubelet does.
    async fn narrow(&mut self, said: &str) -> Result<(), Fault> {
        let forbidden = || Fault::Forbidden(said.to_owned());
        let own = self.resource.own.ok_or_else(forbidden)?;
        let name = node::name(self.server).await?.ok_or_else(forbidden)?;
        self.fields = Some(format!("{own}={name}"));
        self.standing.narrowed = Some(said.to_owned());
        Ok(())
    }

    async fn list_all(&mut self) -> Result<String, Fault> {
        let mut listing = Listing::new(self.reader(), self.news.clone());
        let mut token = String::new();
        let version = loop {
            let (read, page) = self.page(listing, &token).await?;
            listing = read;
            if page.token.is_empty() || page.token == token {
                break page.version;
            }
            token = page.token;
        };
        self.unreadable = listing.unreadable;
        self.tell(self.all_are(listing.names, listing.uids)).await;
        self.standing.is_listed = true;
        self.standing.set_unreadable(self.unreadable.values());
        self.version = Some(version.clone());
        Ok(version)
    }

    async fn page(&self, listing: Listing, token: &str) -> Result<(Listing, Page), Fault> {
        let mut params = ListParams { field_selector: self.fields.clone(), ..ListParams::default() };
        params = match (self.in_pages, token) {
            // From the server's cache, as every client in the cluster does at its start; never paged.
            (false, "") => params.match_any(),
            (true, "") => params.limit(PAGE),
            _ => params.limit(PAGE).continue_token(token),
        };
        let request = kube::core::Request::new(self.path()).list(&params);
        let request = request.map_err(|error| Fault::Nonsense(error.to_string()))?;
        list::read(self.server.ask(request).await?, listing, Listing::take).await
    }

    fn path(&self) -> String {
        format!("{}/{}", self.resource.root(self.api_version), self.resource.name)
    }

    /// Asks for what happens after a version.
    pub(super) fn watch_request(&self, version: &str) -> Result<http::Request<Vec<u8>>, Fault> {
        let params = WatchParams { field_selector: self.fields.clone(), ..WatchParams::default() };
        let request = kube::core::Request::new(self.path()).watch(&params, version);
        request.map_err(|error| Fault::Nonsense(error.to_string()))
    }

    pub(super) fn reader(&self) -> Reader {
        let api_version = self.resource.api_version(self.api_version);
        Reader { resource: self.resource, api_version, node: node::likely() }
    }

    fn all_are(&self, names: HashSet<ObjectName>, uids: HashSet<Text>) -> Change {
        match self.resource.listed_as {
            None => Change::PodsAre { origin: Origin::Api, uids, at: monotonic() },
            Some(kind) => Change::KindIs { kind, names },
        }
    }

    pub(super) async fn tell(&self, change: Change) {
        // Nobody listens any more: the loop ends.
        let _ = self.news.send(News::Change(change)).await;
    }

    pub(super) async fn post(&self) {
        let _ = self.news.send(News::Standing(self.number, Box::new(self.standing.clone()))).await;
    }
}

/// What a list has told so far.
struct Listing {
    reader: Reader,
    news: mpsc::Sender<News>,
    names: HashSet<ObjectName>,
    uids: HashSet<Text>,
    unreadable: BTreeMap<ObjectName, String>,
}

impl Listing {
    fn new(reader: Reader, news: mpsc::Sender<News>) -> Self {
        Self { reader, news, names: HashSet::new(), uids: HashSet::new(), unreadable: BTreeMap::new() }
    }

    /// On a thread that may wait.
    fn take(&mut self, value: Value) {
        let item = self.reader.read(value);
        match item.change {
            Ok(Some(change)) => drop(self.news.blocking_send(News::Change(change))),
            Ok(None) => {}
            Err(sentence) => watch::note(&mut self.unreadable, &item.name, sentence),
        }
        if self.reader.resource.listed_as.is_none() {
            self.uids.insert(item.uid);
        } else {
            self.names.insert(item.name);
        }
    }
}

/// Up to half as much again, by chance.
fn spread(wait: Duration) -> Duration {
    let chance = RandomState::new().build_hasher().finish() % 1000;
    wait + wait / 2 * u32::try_from(chance).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_but_bounded() {
        let wait = Duration::from_secs(10);
        let waits: HashSet<Duration> = (0..100).map(|_| spread(wait)).collect();
        assert!(waits.len() > 1, "nodes must not ask together");
        assert!(waits.iter().all(|spread| (wait..=wait * 3 / 2).contains(spread)));
    }
}
