//! The API server as it is asked: one client for all, answers as streams.
//!
//! Rule: no answer is held as a whole. Each wait has an end, each part a size; who goes over it is not listened to any more.

use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::access::Access;
use super::fault::Fault;
use crate::kubernetes::Pace;

/// Of an answer that is an error, or that is small by its nature.
const MAX_SMALL: usize = 1 << 20;
/// Files of access are not read more often than this, whoever asks.
const RENEWAL: Duration = Duration::from_secs(5);

type Request = http::Request<Vec<u8>>;

pub(super) struct Server {
    access: Access,
    pub(super) pace: Pace,
    /// When it was made, or could not be.
    client: Mutex<Option<(Instant, Result<Client, Fault>)>>,
    /// It was not accepted.
    is_refused: Cell<bool>,
    /// When it last answered anything.
    heard: Cell<Option<Instant>>,
}

impl Server {
    pub(super) fn new(access: Access, pace: Pace) -> Self {
        Self { access, pace, client: Mutex::default(), is_refused: Cell::default(), heard: Cell::default() }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard.get()
    }

    /// Sends a request; the answer's status is good, its body is to come.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer<'_>, Fault> {
        let client = self.client().await?;
        let sent = timeout(self.pace.patience, client.send(request.map(Body::from))).await;
        let late = || Fault::Silent(format!("no answer within {:?}", self.pace.patience));
        let response = sent.map_err(|_| late())?.map_err(|error| Fault::of(&error))?;
        self.heard.set(Some(Instant::now()));
        let status = response.status();
        let mut answer = Answer { server: self, body: response.into_body() };
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.small().await.unwrap_or_default();
        let said: Option<Value> = serde_json::from_slice(&text).ok();
        let message = said.as_ref().and_then(|status| status.get("message")).and_then(Value::as_str);
        let fault = Fault::of_status(status.as_u16(), message.unwrap_or(&String::from_utf8_lossy(&text)));
        if matches!(fault, Fault::Credentials(_)) {
            self.is_refused.set(true);
        }
        Err(fault)
    }

    /// Asks for something small.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(|error| Fault::Nonsense(error.to_string()))?;
        let text = self.ask(request).await?.small().await?;
        serde_json::from_slice(&text).map_err(|error| Fault::Nonsense(format!("{path}: {error}")))
    }

    /// Whether it still answers, asked only if nothing was heard for a while.
    pub(super) async fn pulse(&self) -> Result<(), Fault> {
        if self.heard.get().is_some_and(|heard| heard.elapsed() < self.pace.pulse) {
            return Ok(());
        }
        match self.get("/version").await {
            Err(fault @ Fault::Silent(_)) => Err(fault),
            _ => Ok(()),
        }
    }

    /// One for all who ask; files are read and plugins are run once for them.
    async fn client(&self) -> Result<Client, Fault> {
        let mut known = self.client.lock().await;
        if let Some((made, client)) = &*known {
            let is_bad = client.is_err() || self.is_refused.get();
            if !is_bad || made.elapsed() < RENEWAL {
                return client.clone();
            }
        }
        let client = self.access.client().await.map_err(|error| Fault::Access(error.to_string()));
        self.is_refused.set(false);
        known.insert((Instant::now(), client)).1.clone()
    }
}

/// What comes back.
pub(super) struct Answer<'a> {
    server: &'a Server,
    body: Body,
}

impl Answer<'_> {
    pub(super) fn patience(&self) -> Duration {
        self.server.pace.patience
    }

    /// The next part, within the server's patience; `None` at the end.
    pub(super) async fn part(&mut self) -> Result<Option<Bytes>, Fault> {
        let patience = self.patience();
        let late = || Fault::Busy(format!("its answer stopped for {patience:?}"));
        timeout(patience, self.next()).await.map_err(|_| late())?
    }

    /// The next part, whenever it comes. Nothing is lost if it is not waited for to the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Fault::of(&error))?;
            self.server.heard.set(Some(Instant::now()));
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    async fn small(&mut self) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        while let Some(part) = self.part().await? {
            text.extend_from_slice(&part);
            if text.len() > MAX_SMALL {
                return Err(Fault::Nonsense(format!("an answer of more than {MAX_SMALL} bytes")));
            }
        }
        Ok(text)
    }
}
