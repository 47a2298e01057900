use super::decode::put;
use super::*;
use crate::netlink::Attributes;

fn ends(source: &str, destination: &str, ports: (u16, u16), protocol: u8) -> Tuple {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    Tuple { source, destination, source_port: ports.0, destination_port: ports.1, protocol }
}

fn message(original: &Tuple, reply: &Tuple) -> Vec<u8> {
    let (mut tcp, mut info, mut all) = (Vec::new(), Vec::new(), Vec::new());
    put(&mut tcp, 1, &[3]);
    put(&mut tcp, 4, &[0x0b, 0]);
    put(&mut tcp, 5, &[0x08, 0]);
    put(&mut info, 1 | NESTED, &tcp);
    put(&mut all, ORIGINAL | NESTED, &decode::tuple(original, None));
    put(&mut all, REPLY | NESTED, &decode::tuple(reply, None));
    put(&mut all, 3, &0x0e_u32.to_be_bytes());
    put(&mut all, 4 | NESTED, &info);
    put(&mut all, 7, &120_u32.to_be_bytes());
    all
}

#[test]
fn an_entry_comes_back_as_it_was_written() {
    for (near, far) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        let (original, reply) = (ends(near, far, (4000, 80), 6), ends(far, near, (80, 4000), 6));
        let bytes = message(&original, &reply);
        let entry = Entry::decode(Attributes::new(&bytes)).unwrap();
        assert_eq!((entry.original, entry.reply, entry.timeout), (original, reply, Some(120)));
        assert!(entry.is_replied() && entry.is_assured());
        let tcp = entry.tcp.unwrap();
        assert_eq!((tcp.to_string().as_str(), tcp.is_liberal), ("ESTABLISHED", true));
        for cut in 0..bytes.len() {
            // Whatever is missing: nothing breaks.
            let _ = Entry::decode(Attributes::new(&bytes[..cut]));
        }
    }
    let ping = ends("10.0.0.1", "10.0.0.2", (7, 7), 1);
    let bytes = message(&ping, &ping);
    assert_eq!(Entry::decode(Attributes::new(&bytes)).unwrap().original, ping);
    assert_eq!(TcpState { state: 77, is_liberal: false }.to_string(), "an unknown state");
}

#[test]
fn only_answers_of_that_kind_are_taken() {
    let (original, reply) = (ends("10.1.0.1", "10.0.0.2", (4000, 80), 6), ends("10.0.0.2", "10.9.0.1", (80, 4000), 6));
    let bytes = message(&original, &reply);
    let entry = Entry::decode(Attributes::new(&bytes)).unwrap();
    let wanted = Answers { protocol: 6, from: (reply.source, 80), to: reply.destination };
    assert!(wanted.has(&entry));
    for other in [
        Answers { protocol: 17, ..wanted },
        Answers { from: (reply.source, 81), ..wanted },
        Answers { to: original.source, ..wanted },
    ] {
        assert!(!other.has(&entry), "{other:?}");
    }
}
