//! One direction of a connection, through all stages.
//!
//! Rule: what no policy can forbid is settled before any policy is asked; then the administrator's policies, those of the
//! namespace, the baseline if none of these selects the pod, and what nothing forbids is allowed.

use super::course::Course;
use super::fit::Fit;
use super::view::View;
use super::{Connection, Direction, Side, Verdict, Why, nearest, stage, tier};
use crate::World;
use crate::model::{PolicyId, TierLevel};

pub(super) fn judge(world: &World, connection: &Connection<'_>, direction: Direction) -> Side {
    let Some(view) = View::new(world, connection, direction) else { return Side::open(direction, Why::NotAPod) };
    if view.is_itself() {
        return Side::open(direction, Why::Itself);
    }
    let mut course = Course::default();
    // The API says it of ingress only (networking.k8s.io/v1, NetworkPolicySpec.ingress), and engines do filter a pod's packets
    // to its node.
    if direction == Direction::Ingress {
        match view.is_own_node() {
            Fit::Yes => return Side::open(direction, Why::OwnNode),
            Fit::Maybe => {
                course.may_end(Verdict::Allowed, Why::OwnNode, None);
                course.unknown(format!("whether {} is an address of the pod's own node is not known", view.address));
            }
            Fit::No => {}
        }
    }
    let [admin, baseline] = [TierLevel::Admin, TierLevel::Baseline].map(|level| tier::selecting(&view, level));
    let mut selected_by: Vec<PolicyId> = tier::names(&admin).collect();
    let turns = stage::turns(&view, connection, &mut selected_by);
    selected_by.extend(tier::names(&baseline));
    let leads_on = tier::judge(&view, &admin, &mut course)
        && stage::walk(turns, &mut course)
        && tier::judge(&view, &baseline, &mut course);
    if leads_on {
        course.ends(Verdict::Allowed, Why::NoPolicy, None);
    }
    let side = Side { selected_by, ..course.finish(direction) };
    if side.verdict == Verdict::Denied && side.why == Why::Default {
        return Side { nearest: nearest::nearest(&view), ..side };
    }
    side
}
