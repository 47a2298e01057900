//! Which other transactions tell something of a silent one: its sibling of another type, and the same question to another
//! resolver.
//!
//! Rule: looked up, not searched for: where thousands of queries get no answer at once, each of them asks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::Question;
use super::query::Sibling;
use super::transaction::Transaction;
use crate::flow::Tuple;

/// Queries of one socket within this time are siblings, ns: a resolver library sends both in one call.
const TOGETHER: u64 = 20_000_000;
/// Queries of one name by one socket, and resolvers of one question, that are looked at.
const MOST: usize = 16;

/// All transactions at one moment.
pub(super) struct Kin<'a> {
    by_name: HashMap<(Tuple, String), Vec<(u64, &'a Transaction)>>,
    resolvers: HashMap<(IpAddr, Question), Vec<SocketAddr>>,
}

impl<'a> Kin<'a> {
    pub(super) fn new(all: &'a HashMap<u64, Transaction>) -> Self {
        let mut kin = Self { by_name: HashMap::new(), resolvers: HashMap::new() };
        for (serial, transaction) in all {
            let (Some(tuple), Some(question)) = (transaction.tuple(), &transaction.question) else { continue };
            let question = question.folded();
            if transaction.is_answered() {
                let resolvers = kin.resolvers.entry((tuple.client.ip(), question.clone())).or_default();
                if resolvers.len() < MOST && !resolvers.contains(&tuple.server) {
                    resolvers.push(tuple.server);
                }
            }
            let same_name = kin.by_name.entry((tuple, question.name)).or_default();
            if same_name.len() < MOST {
                same_name.push((*serial, transaction));
            }
        }
        kin
    }

    /// The query of another type that was sent from the same port at the same moment.
    pub(super) fn sibling(&self, of: &Transaction, serial: u64) -> Option<Sibling> {
        let question = of.question.as_ref()?;
        let same_name = self.by_name.get(&(of.tuple()?, question.folded().name))?;
        same_name.iter().filter(|(other, _)| *other != serial).find_map(|(_, other)| {
            let kind = &other.question.as_ref()?.kind;
            let apart = other.first().abs_diff(of.first());
            (apart <= TOGETHER && *kind != question.kind).then(|| Sibling {
                kind: kind.clone(),
                apart,
                is_answered: other.is_answered(),
            })
        })
    }

    /// Another resolver that answered the same question of the same client.
    pub(super) fn answered_by(&self, client: IpAddr, server: SocketAddr, question: &Question) -> Option<SocketAddr> {
        let resolvers = self.resolvers.get(&(client, question.clone()))?;
        resolvers.iter().copied().find(|resolver| *resolver != server)
    }
}
