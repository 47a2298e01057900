//! Who sent a dropped packet: user and group of its socket, as rules that ask for the owner see them.

use anyhow::Result;
use serde_json::Value;
use tracer_tests::event::key;
use tracer_tests::firewall::nft;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::{Expect, Family, Story};

#[test]
fn user_and_group_of_a_program() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.client,
        "table inet t { chain o { type filter hook output priority 0; meta skuid 1234 meta skgid 2345 udp dport 81 drop; }; }",
    )?;
    // The same packets behind the wire belong to nobody there.
    nft(&lab.server, "table inet t { chain i { type filter hook input priority 0; udp dport 82 drop; }; }")?;
    let (mut story, mut other) = (Story::of(&lab.client)?, Story::of(&lab.server)?);
    for family in Family::BOTH {
        let server = SERVER.ip(family);
        // What is refused is an error for the program that sends.
        let send = |port| {
            let send = format!("echo x > /dev/udp/{server}/{port} || true");
            lab.client.exec(&format!("setpriv --reuid 1234 --regid 2345 --clear-groups bash -c '{send}' 2>&1"))
        };
        let wanted = |hook| Expect::drop("NETFILTER_DROP").hook(hook).with(key::DESTINATION, server.to_string());
        send(81)?;
        let owned = wanted("output").with(key::UID, 1234).with(key::GID, 2345);
        story.names(owned.with(key::DESTINATION_PORT, 81).netns(&lab.client)?, 1)?;
        send(82)?;
        let received = wanted("input").with(key::UID, Value::Null).with(key::GID, Value::Null);
        other.names(received.with(key::DESTINATION_PORT, 82).netns(&lab.server)?, 1)?;
    }
    story.end()?;
    other.end().map(drop)
}
