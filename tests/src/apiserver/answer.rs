//! What a request gets.

use std::io;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::fault::Garbage;
use super::http::{Answer, Request};
use super::resource::Resource;
use super::{Shared, State};

/// Between two bookmarks of a watch that sees nothing; a minute on a real server.
const BOOKMARK: Duration = Duration::from_secs(1);

pub(super) fn answer(request: &Request, answer: &mut Answer<'_>, shared: &Shared) -> io::Result<()> {
    let delay = shared.state().faults.delay;
    if !delay.is_zero() {
        thread::sleep(delay);
    }
    let state = shared.state();
    if state.faults.unauthorized {
        drop(state);
        return answer.json(401, &status(401, "Unauthorized", "Unauthorized"));
    }
    if let Some(found) = discover(&state, &request.path) {
        drop(state);
        return answer.json(200, &found);
    }
    let path = request.path.as_str();
    let Some((resource, name)) = find(&state, path) else {
        drop(state);
        return answer.json(404, &status(404, "NotFound", "the server could not find the requested resource"));
    };
    let is_watch = request.query.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
    if state.faults.denies(&resource.plural(), request.query.contains_key("fieldSelector")) {
        drop(state);
        return answer.json(403, &forbidden(&resource, if is_watch { "watch" } else { "list" }));
    }
    if let Some(name) = name {
        let found = state.store.list(&resource, None).find(|((_, known), _)| *known == name);
        let found = found.map(|(_, object)| (**object).clone());
        drop(state);
        let missing = || status(404, "NotFound", &format!("{} \"{name}\" not found", resource.plural()));
        return match found {
            Some(object) => answer.json(200, &object),
            None => answer.json(404, &missing()),
        };
    }
    if is_watch {
        drop(state);
        return watch(&resource, request, answer, shared);
    }
    let garbage = state.faults.garbage.get(&resource.plural()).cloned();
    if let Some(garbage) = garbage {
        drop(state);
        return spoil(&garbage, answer);
    }
    let listed = list(&state, &resource, request);
    drop(state);
    match listed {
        Ok(list) => answer.text(200, &list),
        Err(gone) => answer.json(410, &gone),
    }
}

/// The resource of a path, and the name of an object of the whole cluster.
fn find(state: &State, path: &str) -> Option<(Resource, Option<String>)> {
    state.store.resources().find_map(|resource| {
        let rest = path.strip_prefix(&resource.path())?;
        let name = if rest.is_empty() { None } else { Some(rest.strip_prefix('/')?.to_owned()) };
        Some((resource.clone(), name))
    })
}

fn discover(state: &State, path: &str) -> Option<Value> {
    let of_version = |version: &str| -> Vec<Value> {
        let resources = state.store.resources().filter(|resource| resource.api_version == version);
        resources.map(Resource::described).collect()
    };
    match path {
        "/version" => return Some(json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0"})),
        "/api" => return Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => return Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(state)})),
        _ => {}
    }
    let version = path.strip_prefix("/apis/").or_else(|| path.strip_prefix("/api/"))?;
    let resources = of_version(version);
    let list = json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources});
    (!resources.is_empty()).then_some(list)
}

fn groups(state: &State) -> Vec<Value> {
    let mut groups: Vec<(&str, Vec<Value>)> = Vec::new();
    for resource in state.store.resources().filter(|resource| !resource.group().is_empty()) {
        let version = json!({"groupVersion": resource.api_version, "version": resource.version()});
        match groups.iter_mut().find(|(group, _)| *group == resource.group()) {
            Some((_, versions)) if versions.contains(&version) => {}
            Some((_, versions)) => versions.push(version),
            None => groups.push((resource.group(), vec![version])),
        }
    }
    let described = |(name, versions): (&str, Vec<Value>)| json!({"name": name, "preferredVersion": versions.first(), "versions": versions});
    groups.into_iter().map(described).collect()
}

/// A page of the list. The token is the version that the list began at, and how many were given.
fn list(state: &State, resource: &Resource, request: &Request) -> Result<String, Value> {
    let query = |key: &str| request.query.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let (mut version, mut given) = (state.store.version, 0);
    if let Some((began, before)) = query("continue").and_then(|token| token.split_once('.')) {
        version = began.parse().unwrap_or_default();
        given = before.parse().unwrap_or_default();
    }
    if version < state.store.oldest {
        return Err(status(410, "Expired", "The provided continue parameter is too old"));
    }
    let is_paged = query("resourceVersion") != Some("0");
    let limit = query("limit").filter(|_| is_paged).and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    let mut rest = state.store.list(resource, query("fieldSelector")).skip(given).peekable();
    let page: Vec<String> = rest.by_ref().take(limit.unwrap_or(usize::MAX)).map(|(_, object)| item(object)).collect();
    let token = rest.peek().map(|_| format!("{version}.{}", given + page.len())).unwrap_or_default();
    let metadata = json!({"resourceVersion": version.to_string(), "continue": token});
    Ok(format!(
        r#"{{"kind":"{}List","apiVersion":"{}","metadata":{metadata},"items":[{}]}}"#,
        resource.kind,
        resource.api_version,
        page.join(",")
    ))
}

/// Items of a list of a built-in kind have neither kind nor version of their own.
fn item(object: &Value) -> String {
    let mut object = object.clone();
    let is_built_in = super::resource::BUILT_IN.iter().any(|(version, _)| object["apiVersion"] == *version);
    if let Some(fields) = object.as_object_mut().filter(|_| is_built_in) {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object.to_string()
}

fn watch(resource: &Resource, request: &Request, answer: &mut Answer<'_>, shared: &Shared) -> io::Result<()> {
    let query = |key: &str| request.query.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let fields = query("fieldSelector");
    let mut version: u64 = query("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    let with_bookmarks = query("allowWatchBookmarks") == Some("true");
    answer.begin()?;
    loop {
        let state = shared.state();
        if state.faults.close_watches || state.faults.unauthorized || state.is_down {
            break;
        }
        if state.faults.denies(&resource.plural(), fields.is_some()) || find(&state, &resource.path()).is_none() {
            break;
        }
        if version < state.store.oldest {
            drop(state);
            let gone = status(410, "Expired", "too old resource version");
            answer.chunk(&format!("{}\n", json!({"type": "ERROR", "object": gone})))?;
            break;
        }
        let events = state.store.since(resource, version, fields);
        version = state.store.version;
        let lines = if events.is_empty() {
            let (state, waited) =
                shared.changed.wait_timeout(state, BOOKMARK).unwrap_or_else(std::sync::PoisonError::into_inner);
            let is_time = with_bookmarks && waited.timed_out() && version == state.store.version;
            if is_time { bookmark(resource, version) } else { String::new() }
        } else {
            drop(state);
            events.iter().fold(String::new(), |lines, event| lines + &event.line().to_string() + "\n")
        };
        answer.chunk(&lines)?;
    }
    answer.end()
}

fn bookmark(resource: &Resource, version: u64) -> String {
    let metadata = json!({"resourceVersion": version.to_string()});
    let object = json!({"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata});
    format!("{}\n", json!({"type": "BOOKMARK", "object": object}))
}

fn spoil(garbage: &Garbage, answer: &mut Answer<'_>) -> io::Result<()> {
    match garbage {
        Garbage::Text(text) => answer.text(200, text),
        Garbage::Endless => {
            answer.begin()?;
            answer
                .chunk(r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"data":""#)?;
            let more = "x".repeat(64 << 10);
            loop {
                answer.chunk(&more)?;
            }
        }
        Garbage::Stalled => {
            answer.begin()?;
            answer
                .chunk(r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"data":""#)?;
            // Until the client goes.
            io::copy(&mut answer.0, &mut io::sink()).map(drop)
        }
    }
}

fn forbidden(resource: &Resource, verb: &str) -> Value {
    let (name, group) = (resource.plural(), resource.group());
    let problem = format!(
        "{name} is forbidden: User \"system:serviceaccount:default:fake\" cannot {verb} resource \"{name}\" in API group \"{group}\" at the cluster scope"
    );
    status(403, "Forbidden", &problem)
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    })
}
