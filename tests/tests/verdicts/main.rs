//! `whydrop verdicts`: allowed or denied for each new connection of the node's pods, and exactly as many as there were.

mod policies;
mod scene;
mod seen;
