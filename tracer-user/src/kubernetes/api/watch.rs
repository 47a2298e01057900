//! What happens to a resource, line by line (Kubernetes API concepts, "Efficient detection of changes").

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;
use tracer_policy::model::ObjectName;

use super::fault::{Fault, short};
use super::follow::Follower;
use super::item::Reader;
use super::list::MAX_OBJECT;

/// The server ends a watch after 290 s, for it is asked to; one that lasts longer in silence is not there any more.
const LONGEST_SILENCE: Duration = Duration::from_mins(5);
/// Names of objects that can't be read, which are remembered.
const MAX_UNREADABLE: usize = 1000;

/// Remembers that an object can't be read.
pub(super) fn note(unreadable: &mut BTreeMap<ObjectName, String>, name: &ObjectName, sentence: String) {
    if unreadable.len() < MAX_UNREADABLE {
        unreadable.insert(name.clone(), sentence);
    }
}

/// Until the server ends it, which is no fault.
pub(super) async fn watch(follower: &mut Follower<'_>, version: String) -> Result<(), Fault> {
    let server = follower.server;
    let asked = server.ask(follower.watch_request(&version)?).await;
    let mut answer = match asked {
        Ok(answer) => answer,
        Err(fault) => {
            // The list stands, and is as of then.
            follower.post().await;
            return Err(fault);
        }
    };
    follower.standing.fault = None;
    follower.post().await;
    follower.knows_pods(true).await;
    let reader = follower.reader();
    let (mut lines, mut heard) = (Vec::new(), Instant::now());
    loop {
        let Ok(part) = timeout(server.pace.pulse, answer.next()).await else {
            server.pulse().await?;
            if heard.elapsed() > LONGEST_SILENCE || follower.news.is_closed() {
                return Ok(());
            }
            continue;
        };
        let Some(part) = part? else { return Ok(()) };
        heard = Instant::now();
        let searched = lines.len();
        lines.extend_from_slice(&part);
        let Some(last) = lines.iter().skip(searched).rposition(|byte| *byte == b'\n') else {
            if lines.len() > MAX_OBJECT {
                return Err(Fault::Nonsense(format!("an event of more than {} MiB", MAX_OBJECT >> 20)));
            }
            continue;
        };
        let rest = lines.split_off(searched + last + 1);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            event(follower, &reader, line).await?;
        }
        lines = rest;
    }
}

async fn event(follower: &mut Follower<'_>, reader: &Reader, line: &[u8]) -> Result<(), Fault> {
    let nonsense = |problem: String| Fault::Nonsense(format!("an event that is none: {}", short(&problem)));
    let mut event: Value = serde_json::from_slice(line).map_err(|error| nonsense(error.to_string()))?;
    let what = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    if what == "ERROR" {
        let code = object.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
        return Err(Fault::of_status(code.unwrap_or_default(), message));
    }
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let Some(version) = version.filter(|version| !version.is_empty()) else {
        return Err(nonsense("no resourceVersion".to_owned()));
    };
    let version = version.to_owned();
    match what.as_str() {
        "BOOKMARK" => {}
        "ADDED" | "MODIFIED" => seen(follower, reader, object).await,
        "DELETED" => gone(follower, reader, object).await,
        _ => return Err(nonsense(format!("type {what}"))),
    }
    follower.version = Some(version);
    Ok(())
}

async fn seen(follower: &mut Follower<'_>, reader: &Reader, object: Value) {
    let item = reader.read(object);
    match item.change {
        Ok(change) => {
            if let Some(change) = change {
                follower.tell(change).await;
            }
            if follower.unreadable.remove(&item.name).is_some() {
                spoiled(follower).await;
            }
        }
        Err(sentence) => {
            note(&mut follower.unreadable, &item.name, sentence);
            spoiled(follower).await;
        }
    }
}

async fn gone(follower: &mut Follower<'_>, reader: &Reader, object: Value) {
    let item = reader.read(object);
    let was_unreadable = follower.unreadable.remove(&item.name).is_some();
    follower.tell(reader.gone(item)).await;
    if was_unreadable {
        spoiled(follower).await;
    }
}

/// Other objects can't be read than before.
async fn spoiled(follower: &mut Follower<'_>) {
    follower.standing.set_unreadable(follower.unreadable.values());
    follower.post().await;
}
