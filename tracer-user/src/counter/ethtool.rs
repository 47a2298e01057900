//! The counters that a driver keeps itself, as `ethtool -S` shows them (`SIOCETHTOOL`).
//!
//! Rule: a driver that has none, or refuses, has none. Names are the driver's: only those that [`table`] knows are taken,
//! and those of single queues are added up where there is no total.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use super::table;

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const GDRVINFO: u32 = 0x03;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
/// `ETH_SS_STATS`.
const STATISTICS: u32 = 1;
/// `ETH_GSTRING_LEN`.
const NAME: usize = 32;
/// `struct ethtool_drvinfo`: its size, and where `driver` and `n_stats` stand.
const INFO: usize = 196;
const DRIVER: usize = 4;
const COUNT: usize = 180;
/// More counters than any driver has; a driver that says more is not asked.
const MOST: usize = 65_536;

/// What a driver says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Driver {
    pub(super) name: Option<String>,
    /// How many counters it has now; changes with the number of its queues.
    pub(super) counters: usize,
}

/// A counter of interest: where it stands, and what it is called without the number of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    at: usize,
    name: String,
    of_queue: bool,
}

/// The way to the drivers of the calling thread's namespace.
pub(super) struct Ethtool(Socket);

impl Ethtool {
    pub(super) fn open() -> io::Result<Self> {
        Socket::new(Domain::IPV4, Type::DGRAM, None).map(Self)
    }

    pub(super) fn driver(&self, device: &str) -> io::Result<Driver> {
        let mut info = vec![0; INFO];
        self.ask(device, GDRVINFO, &mut info)?;
        let counters = info.get(COUNT..).and_then(word).unwrap_or_default() as usize;
        Ok(Driver { name: info.get(DRIVER..DRIVER + NAME).and_then(text), counters })
    }

    /// Which of its counters are of interest.
    pub(super) fn places(&self, device: &str, driver: &Driver) -> io::Result<Vec<Place>> {
        if driver.counters == 0 || driver.counters > MOST {
            return Ok(Vec::new());
        }
        let mut answer = room(12, NAME);
        put(&mut answer, 4, STATISTICS);
        put(&mut answer, 8, driver.counters as u32);
        self.ask(device, GSTRINGS, &mut answer)?;
        let count = answer.get(8..).and_then(word).unwrap_or_default() as usize;
        let names = answer.get(12..).unwrap_or_default().chunks_exact(NAME).take(count.min(MOST));
        Ok(names.enumerate().filter_map(|(at, name)| place(at, &text(name)?)).collect())
    }

    /// Their values; none if the driver has another number of counters by now.
    pub(super) fn values(&self, device: &str, driver: &Driver, places: &[Place]) -> io::Result<BTreeMap<String, u64>> {
        let mut answer = room(8, size_of::<u64>());
        put(&mut answer, 4, driver.counters as u32);
        self.ask(device, GSTATS, &mut answer)?;
        if answer.get(4..).and_then(word) != Some(driver.counters as u32) {
            return Ok(BTreeMap::new());
        }
        let values = answer.get(8..).unwrap_or_default().as_chunks::<8>().0;
        Ok(sums(places, |at| values.get(at).map(|bytes| u64::from_ne_bytes(*bytes))))
    }

    fn ask(&self, device: &str, command: u32, answer: &mut [u8]) -> io::Result<()> {
        put(answer, 0, command);
        let mut request = Request { name: [0; libc::IFNAMSIZ], data: answer.as_mut_ptr(), rest: [0; 16] };
        let room = request.name.iter_mut().take(libc::IFNAMSIZ - 1);
        room.zip(device.bytes()).for_each(|(to, from)| *to = from);
        // SAFETY: `request` is a `struct ifreq` whose data is `answer`. The kernel writes as many counters as the driver has,
        // whatever was asked for: `answer` has room for `MOST`, and a driver that had more a moment ago is not asked.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// `struct ifreq` with a pointer in it: 40 bytes on 64-bit machines.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut u8,
    rest: [u8; 16],
}

/// Room for a header and `MOST` entries; memory that is not written to is not taken.
fn room(header: usize, entry: usize) -> Vec<u8> {
    vec![0; header + MOST * entry]
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(to) = bytes.get_mut(at..at + 4) {
        to.copy_from_slice(&value.to_ne_bytes());
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Up to the first NUL; none for nothing.
fn text(bytes: &[u8]) -> Option<String> {
    let name = bytes.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// A name that the table knows, with or without the number of a queue.
fn place(at: usize, name: &str) -> Option<Place> {
    let name = name.trim();
    let (plain, of_queue) = without_queue(name);
    table::card(&plain)?;
    // The driver's own spelling where it is one counter, so that it can be looked up.
    Some(Place { at, name: if of_queue { plain } else { name.to_owned() }, of_queue })
}

/// A name in lower case, its words joined by `_`, without the number and the words of a queue: `rx_queue_0_drops`,
/// `rx0_drops` and `[0]: rx_drops` are `rx_drops`.
pub(super) fn without_queue(name: &str) -> (String, bool) {
    let mut words: Vec<String> = Vec::new();
    let (mut of_queue, mut last) = (false, ' ');
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_digit() && !(last.is_ascii_alphabetic() && is_part_of_word(words.last())) {
            of_queue = true;
        } else if c.is_ascii_alphanumeric() {
            match words.last_mut() {
                Some(word) if last.is_ascii_alphanumeric() && !last.is_ascii_digit() => word.push(c),
                Some(word) if last.is_ascii_digit() && is_part_of_word(Some(&*word)) => word.push(c),
                _ => words.push(c.to_string()),
            }
        }
        last = c;
    }
    if of_queue {
        words.retain(|word| !matches!(word.as_str(), "queue" | "q" | "ring" | "ch" | "prio" | "cpu"));
    }
    (words.join("_"), of_queue)
}

/// Words that end in a number of their own.
fn is_part_of_word(word: Option<&String>) -> bool {
    word.is_some_and(|word| matches!(word.as_str(), "l" | "mlx" | "ipv" | "bps"))
}

/// The counters by name; what has a total is not added up again.
fn sums(places: &[Place], value: impl Fn(usize) -> Option<u64>) -> BTreeMap<String, u64> {
    let is_total = |name: &str| places.iter().any(|place| !place.of_queue && without_queue(&place.name).0 == name);
    let mut sums = BTreeMap::<String, u64>::new();
    for place in places.iter().filter(|place| !place.of_queue || !is_total(&place.name)) {
        let sum = sums.entry(place.name.clone()).or_default();
        *sum = sum.saturating_add(value(place.at).unwrap_or_default());
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_queue_is_taken_out_of_a_name() {
        for (name, plain, of_queue) in [
            ("rx_out_of_buffer", "rx_out_of_buffer", false),
            ("rx0_drops", "rx_drops", true),
            ("rx_queue_12_drops", "rx_drops", true),
            ("[3]: rx_discards", "rx_discards", true),
            ("queue_0_rx_xdp_drop", "rx_xdp_drop", true),
            ("rx_no_buffers[7]", "rx_no_buffers", true),
            ("port.rx_dropped", "port_rx_dropped", false),
            ("rx_dropped.nic", "rx_dropped_nic", false),
            ("rx_prio3_discards", "rx_discards", true),
            ("", "", false),
            ("\u{1b}[2J", "j", true),
        ] {
            assert_eq!(without_queue(name), (plain.to_owned(), of_queue), "{name}");
        }
    }

    #[test]
    fn queues_are_added_up_where_there_is_no_total() {
        let places = |names: &[&str]| -> Vec<Place> {
            names.iter().enumerate().filter_map(|(at, name)| place(at, name)).collect()
        };
        let queues = places(&["rx0_packets", "rx0_drops", "rx1_drops"]);
        assert_eq!(sums(&queues, |at| Some(at as u64)), [("rx_drops".to_owned(), 3)].into());
        let total = places(&["rx_drops", "rx0_drops", "rx1_drops"]);
        assert_eq!(sums(&total, |_| Some(7)), [("rx_drops".to_owned(), 7)].into());
        assert_eq!(sums(&queues, |_| None), [("rx_drops".to_owned(), 0)].into(), "a cut answer");
        assert_eq!(sums(&queues, |_| Some(u64::MAX)), [("rx_drops".to_owned(), u64::MAX)].into());
    }

    #[test]
    fn a_device_that_is_not_there_has_none() {
        let ethtool = Ethtool::open().unwrap();
        assert!(ethtool.driver("nosuchdevice0").is_err());
        assert!(ethtool.driver(&"x".repeat(100)).is_err());
        assert!(ethtool.places("lo", &Driver { name: None, counters: MOST + 1 }).unwrap().is_empty());
    }

    #[test]
    fn each_card_of_this_machine_can_be_asked() {
        let ethtool = Ethtool::open().unwrap();
        for card in super::super::link::cards().unwrap() {
            let Ok(driver) = ethtool.driver(&card.name) else { continue };
            let places = ethtool.places(&card.name, &driver).unwrap();
            let values = ethtool.values(&card.name, &driver, &places).unwrap();
            assert!(values.keys().all(|name| table::card(&without_queue(name).0).is_some()), "{values:?}");
        }
    }
}
