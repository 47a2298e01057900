//! The cluster, from the Kubernetes API.
//!
//! [`access`] finds how to reach it, [`server`] asks it, [`follow`] lists ([`list`]) and watches ([`watch`]) each of the
//! [`resource`]s, [`item`] reads objects, [`gather`] puts them into the index, [`board`] says what is missing and why.
//!
//! Rule: the API is asked for as little as names and policies need, and never for Secrets or ConfigMaps. A server that is down,
//! slow, or lies costs names, says so in a sentence, and is asked again more and more seldom.

pub(crate) mod access;
mod board;
mod fault;
mod follow;
mod gather;
mod item;
mod list;
mod node;
mod plugin;
mod resource;
mod server;
mod watch;

use futures_util::future::join_all;
use tokio::sync::mpsc;

use self::access::Access;
use self::follow::Follower;
use self::resource::RESOURCES;
use self::server::Server;
use super::{Feed, Plan, Reach};

/// News that wait for the index; the resources wait then.
const QUEUE: usize = 1024;

/// Lists and watches until nobody listens.
pub(super) async fn follow(plan: &Plan, feed: Feed) {
    let access = match plan.reach {
        Reach::Off => None,
        // What was only looked for and is not there is nothing to be told: not every machine is in a cluster.
        Reach::All | Reach::Node => Access::find(plan.kubeconfig.as_deref()).ok(),
    };
    let Some(access) = access else {
        feed.started();
        return;
    };
    let server = Server::new(access, plan.pace);
    let (news, gathered) = mpsc::channel(QUEUE);
    let all = (0..RESOURCES.len()).filter_map(|number| Follower::new(&server, plan.reach, number, news.clone()));
    let all: Vec<_> = all.map(Follower::run).collect();
    drop(news);
    tokio::select! {
        _ = join_all(all) => {}
        () = gather::gather(gathered, &feed, &server) => {}
    }
}
