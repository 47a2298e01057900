//! A list, read as it comes.
//!
//! Rule: one object at a time is held. With `resourceVersion=0` a server answers from its cache and may give a million pods in one
//! list; a list of 100,000 is 1 GB of JSON.

use std::cell::Cell;
use std::io::{self, BufReader, Read};

use bytes::{Buf, Bytes};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokio::sync::mpsc;

use super::fault::{Fault, short};
use super::server::Answer;

/// Of an object's JSON. etcd takes 1.5 MiB (`--max-request-bytes`), the API server 3 MiB.
pub(super) const MAX_OBJECT: usize = 8 << 20;
/// In one list: above what Kubernetes is made for (150,000 pods) by far.
const MAX_OBJECTS: usize = 2_000_000;
/// Parts of an answer (some KiB each) that wait to be read.
const QUEUE: usize = 16;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) version: String,
    /// Empty for the last.
    pub(super) token: String,
    /// It had `items`.
    has_items: bool,
}

/// Reads a page; each object is given to `take`, on a thread that may wait.
pub(super) async fn read<T: Send + 'static>(
    mut answer: Answer<'_>,
    mut taker: T,
    take: fn(&mut T, Value),
) -> Result<(T, Page), Fault> {
    let (parts, queue) = mpsc::channel(QUEUE);
    let parsing = tokio::task::spawn_blocking(move || {
        let page = parse(queue, |value| take(&mut taker, value));
        (taker, page)
    });
    let mut fault = None;
    loop {
        let part = match answer.part().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(error) => {
                fault = Some(error);
                break;
            }
        };
        // The reader may have heard enough: it says why.
        if parts.send(part).await.is_err() {
            break;
        }
    }
    drop(parts);
    let (taker, page) = parsing.await.map_err(|error| Fault::Nonsense(error.to_string()))?;
    match fault {
        Some(fault) => Err(fault),
        None => Ok((taker, page.map_err(Fault::Nonsense)?)),
    }
}

fn parse(queue: mpsc::Receiver<Bytes>, take: impl FnMut(Value)) -> Result<Page, String> {
    let since_object = Cell::new(0);
    let parts = Parts { queue, part: Bytes::new(), since_object: &since_object };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 << 10, parts));
    let list = List { take, since_object: &since_object };
    let page = list.deserialize(&mut json).map_err(|error| short(&error.to_string()))?;
    if !page.has_items || page.version.is_empty() {
        return Err("no list: it has no items or no resourceVersion".to_owned());
    }
    Ok(page)
}

/// The answer's parts, as a reader.
struct Parts<'a> {
    queue: mpsc::Receiver<Bytes>,
    part: Bytes,
    since_object: &'a Cell<usize>,
}

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.queue.blocking_recv() {
                Some(part) => self.part = part,
                None => return Ok(0),
            }
        }
        let read = buffer.len().min(self.part.len());
        self.part.copy_to_slice(buffer.get_mut(..read).unwrap_or_default());
        self.since_object.set(self.since_object.get() + read);
        if self.since_object.get() > MAX_OBJECT {
            return Err(io::Error::other(format!("an object of more than {} MiB", MAX_OBJECT >> 20)));
        }
        Ok(read)
    }
}

struct List<'a, F> {
    take: F,
    since_object: &'a Cell<usize>,
}

impl<'de, F: FnMut(Value)> DeserializeSeed<'de> for List<'_, F> {
    type Value = Page;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Page, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Value)> Visitor<'de> for List<'_, F> {
    type Value = Page;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of the API")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Page, A::Error> {
        let mut page = Page::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => {
                    let metadata: Value = map.next_value()?;
                    let text = |key| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                    (page.version, page.token) = (text("resourceVersion"), text("continue"));
                }
                "items" => {
                    map.next_value_seed(Items { take: &mut self.take, since_object: self.since_object })?;
                    page.has_items = true;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(page)
    }
}

struct Items<'a, F> {
    take: &'a mut F,
    since_object: &'a Cell<usize>,
}

impl<'de, F: FnMut(Value)> DeserializeSeed<'de> for Items<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Value)> Visitor<'de> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the items of a list")
    }

    /// `null`, as Go writes an empty one.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(item) = items.next_element::<Value>()? {
            self.since_object.set(0);
            count += 1;
            if count > MAX_OBJECTS {
                return Err(serde::de::Error::custom(format!("more than {MAX_OBJECTS} objects")));
            }
            (self.take)(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: impl IntoIterator<Item = Vec<u8>> + Send + 'static) -> (Result<Page, String>, Vec<Value>) {
        let (send, queue) = mpsc::channel(1);
        let sender = std::thread::spawn(move || {
            // Who reads may have had enough.
            let _ = parts.into_iter().try_for_each(|part| send.blocking_send(Bytes::from(part)));
        });
        let mut items = Vec::new();
        let page = parse(queue, |item| items.push(item));
        sender.join().unwrap();
        (page, items)
    }

    #[test]
    fn a_list_is_read_wherever_it_is_cut() {
        let text = r#"{"kind":"PodList","items":[{"a":1},{"a":"]}"}],"metadata":{"resourceVersion":"7","continue":"t"},"x":[1]}"#;
        for size in [1, 2, 7, 1000] {
            let (page, items) = read(text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>());
            let page = page.unwrap();
            assert_eq!((page.version.as_str(), page.token.as_str(), items.len()), ("7", "t", 2));
        }
        let (page, items) = read([br#"{"metadata":{"resourceVersion":"7"},"items":null}"#.to_vec()]);
        assert!(page.is_ok() && items.is_empty());
    }

    #[test]
    fn what_is_no_list_is_told_not_taken_for_an_empty_one() {
        for text in ["", "[]", "null", "<html>", "{}", r#"{"items":[]}"#, r#"{"metadata":{"resourceVersion":"7"}}"#] {
            assert!(read([text.as_bytes().to_vec()]).0.is_err(), "{text}");
        }
        let (page, items) = read([br#"{"metadata":{"resourceVersion":"7"},"items":[{"a":1},{"a":"#.to_vec()]);
        assert!(page.is_err() && items.len() == 1, "a list that is cut off is not whole");
        let deep = "[".repeat(100_000);
        assert!(read([format!(r#"{{"items":[{deep}"#).into_bytes()]).0.is_err());
    }

    #[test]
    fn an_object_without_end_is_given_up() {
        let begin = br#"{"items":[{"a":""#.to_vec();
        let (page, _) = read(std::iter::once(begin).chain(std::iter::repeat_n(vec![b'x'; 1 << 20], 1000)));
        assert!(page.unwrap_err().contains("more than 8 MiB"));
    }
}
