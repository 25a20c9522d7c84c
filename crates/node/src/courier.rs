//! One peer's background sync: a session when there is something to bring or to fetch, and a request held open at the
//! peer, which may not get through to this node. Where nothing has to be brought for a day, both sides are compared all the same.
//!
//! Always true here: at most one session and one held request with the peer are under way. After a failure the pauses
//! grow, with chance in them, up to five minutes; a computer that slept wakes up to one attempt, not to all it missed.
use crate::call::Link;
use crate::heads::Heads;
use crate::message::{Message, News, Wait};
use crate::node::Node;
use crate::pace::{self, DOZE, LONGEST, has_slept, is_over};
use crate::pause::unpaused;
use crate::routes::{self, blocking};
use crate::server::{Stop, stopped};
use crate::session::unwatched;
use crate::state::{Peer, RunResult, Trigger};
use crate::{Error, NodeId, Result};
use lockstep_engine::id::{Millis, Vectors};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than a peer holds a request.
const HELD: Duration = Duration::from_secs(75);
/// From here on in a row, vain attempts are one fault.
pub(crate) const ALARM: u32 = 3;

/// Works until it is told to stop or the peer is retired.
pub(crate) async fn courier(node: Arc<Node>, id: NodeId, mut stop: Stop) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = rounds(&node, id) => {}
    }
}

async fn rounds(node: &Arc<Node>, id: NodeId) {
    let mut pauses = pace::pauses();
    let mut vain = Vain::default();
    let mut trigger = Trigger::Start;
    loop {
        if let Err(e) = unpaused(node).await {
            tracing::error!(error = %e, "whether background sync rests could not be read");
            tokio::time::sleep(LONGEST).await;
            continue;
        }
        let peer = match peer(node, id).await {
            Ok(Some(peer)) => peer,
            Ok(None) => return,
            Err(e) => {
                tracing::error!(error = %e, "a peer could not be read");
                tokio::time::sleep(LONGEST).await;
                continue;
            }
        };
        not_visited(node, id).await;
        let before = node.heads().borrow().clone();
        let told = match told(node, id).await {
            Ok(told) => told,
            Err(e) => {
                tracing::error!(error = %e, "what a peer told could not be read");
                BTreeMap::new()
            }
        };
        let began = node.now();
        let pause = match node.sync(&peer, trigger, &unwatched).await {
            Ok(entry) if entry.result != RunResult::Failed => {
                vain.ended(trigger, entry.received, told);
                None
            }
            Ok(entry) => {
                let code = entry.error.as_ref().map_or("", |e| e.code.as_str());
                if node.state().alarm_after().is_ok_and(|n| n == Some(peer.failures + 1)) {
                    tracing::warn!(peer = %peer.name, code, failures = peer.failures + 1, "it keeps failing");
                }
                pauses.next()
            }
            Err(e) => {
                tracing::warn!(peer = %peer.name, error = %e, "a session could not begin");
                pauses.next()
            }
        };
        trigger = match pause {
            Some(pause) => {
                // A commit does not make an unreachable peer reachable: the pause is kept.
                rest(|| node.now(), pause).await;
                Trigger::Retry
            }
            None => {
                pauses = pace::pauses();
                let pending = pending(node, &peer, &before);
                tokio::pin!(pending);
                tokio::select! {
                    () = &mut pending => Trigger::Change,
                    () = news(node, &peer, &vain) => Trigger::News,
                    () = daily(node, id, began) => Trigger::Daily,
                }
            }
        };
    }
}

/// News that led to a session and could not be taken: of a table that goes one way, or that the two sides sync by
/// different rules. The same news is not acted upon again for a while. It is then, since an agreement that changed
/// shows in a session alone.
#[derive(Default)]
struct Vain {
    /// Where the peer stood before the vain session, and until when it is not asked about that again.
    known: Option<(Instant, BTreeMap<String, Vectors>)>,
    /// Before a peer is listened to that calls all the same.
    pauses: Option<pace::Pauses>,
    /// The next of them.
    pause: Duration,
}

impl Vain {
    /// A session went through that had this trigger and brought so many writes; `told`: where the peer stood before it.
    fn ended(&mut self, trigger: Trigger, received: u64, told: BTreeMap<String, Vectors>) {
        if trigger != Trigger::News || received > 0 {
            if received > 0 || trigger == Trigger::Change {
                self.pauses = None;
            }
            self.pause = Duration::ZERO;
            return;
        }
        let again = self.claims().is_some();
        self.known = Some((Instant::now() + LONGEST, told));
        self.pause =
            if again { self.pauses.get_or_insert_with(pace::pauses).next().unwrap_or(LONGEST) } else { Duration::ZERO };
    }

    /// What the peer is told to be known here beyond what is here.
    fn claims(&self) -> Option<&BTreeMap<String, Vectors>> {
        self.known.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, told)| told)
    }

    /// Where the peer has no news for this node: `has`, and what it could not take.
    fn added_to(&self, mut has: BTreeMap<String, Vectors>) -> BTreeMap<String, Vectors> {
        for (database, tables) in self.claims().into_iter().flatten() {
            let has = has.entry(database.clone()).or_default();
            for (table, vector) in tables {
                let has = has.entry(table.clone()).or_default();
                for (replica, seq) in vector {
                    let known = has.entry(*replica).or_insert(*seq);
                    *known = (*known).max(*seq);
                }
            }
        }
        has
    }
}

/// Where a peer's tables stand, as it last said.
async fn told(node: &Arc<Node>, id: NodeId) -> Result<BTreeMap<String, Vectors>> {
    let node = node.clone();
    blocking(move || {
        let databases = node.state().databases()?;
        let of = |name: String| -> Result<(String, Vectors)> {
            let told = node.state().last_told(id, &name)?;
            Ok((name, told.into_iter().map(|(table, _)| (table.name, table.vector)).collect()))
        };
        databases.into_iter().map(|d| of(d.name)).collect()
    })
    .await
}

/// How often it is looked whether the peer's own session is over.
const OVER: Duration = Duration::from_millis(100);

/// Lets a pause pass. It ends early where the computer slept meanwhile: the clock by which pauses are measured stood
/// still then, and the network is another one perhaps.
async fn rest(now: impl Fn() -> Millis, pause: Duration) {
    let (wall, since) = (now(), Instant::now());
    while let Some(left) = pause.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
        tokio::time::sleep(left.min(DOZE)).await;
        if has_slept(now().0.saturating_sub(wall.0), since.elapsed()) {
            return;
        }
    }
}

/// Resolves when the peer leads no session here: it carries both ways, and what a second one carried beside it would
/// travel twice.
async fn not_visited(node: &Arc<Node>, id: NodeId) {
    while node.is_visited_by(id) {
        tokio::time::sleep(OVER).await;
    }
}

async fn peer(node: &Arc<Node>, id: NodeId) -> Result<Option<Peer>> {
    let node = node.clone();
    blocking(move || Ok(node.state().peer_by_id(id)?)).await
}

/// Resolves when there is something here that the peer lacks, and that was not there `before`: what a session did not
/// bring over then, the next one won't either.
async fn pending(node: &Arc<Node>, peer: &Peer, before: &Heads) {
    let (mut heads, id) = (node.heads(), peer.node);
    loop {
        let asked = node.clone();
        let now = heads.borrow_and_update().clone();
        let moved = now != *before;
        let lacks = blocking(move || {
            let access = asked.state().access(id)?;
            let has = known(&asked, id)?;
            Ok(moved && now.lacking(&has, &access))
        });
        match lacks.await {
            // The peer takes it along itself.
            Ok(true) if node.is_visited_by(id) => {
                not_visited(node, id).await;
                continue;
            }
            Ok(true) => return,
            Ok(false) => {}
            Err(e) => tracing::error!(error = %e, "what a peer has could not be read"),
        }
        if heads.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Resolves when neither this courier nor the peer itself has had both sides compared for a day. Until then it looks at
/// the clock alone: the hours that a computer sleeps are no hours of a timer. `last`: when the last session began.
async fn daily(node: &Arc<Node>, id: NodeId, mut last: Millis) {
    loop {
        tokio::time::sleep(DOZE).await;
        if !is_over(last, node.now()) {
            continue;
        }
        match peer(node, id).await {
            Ok(Some(Peer { verified_at: Some(at), .. })) if !is_over(at, node.now()) => last = at,
            Ok(_) => return,
            Err(e) => {
                tracing::error!(error = %e, "when a peer was last compared could not be read");
                last = node.now();
            }
        }
    }
}

fn known(node: &Node, id: NodeId) -> Result<BTreeMap<String, Vectors>> {
    let databases = node.state().databases()?;
    databases.into_iter().map(|d| Ok((d.name.clone(), node.state().acknowledged(id, &d.name)?))).collect()
}

/// Resolves when the peer has news and does not bring it itself. It may know an address of this node and not get through
/// to it: that of another network, or one behind a router. So it is asked all the same.
async fn news(node: &Arc<Node>, peer: &Peer, vain: &Vain) {
    tokio::time::sleep(vain.pause).await;
    let mut pauses = pace::pauses();
    loop {
        match asked(node, peer, vain).await {
            Ok(true) if comes_itself(node, peer).await => pauses = pace::pauses(),
            Ok(true) => return,
            Ok(false) => pauses = pace::pauses(),
            Err(e) => {
                tracing::debug!(peer = %peer.name, error = %e, "the peer could not be asked for news");
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST)).await;
            }
        }
    }
}

/// How long a peer that knows this node's address has, to bring its news itself.
const GRACE: Duration = Duration::from_secs(1);

async fn comes_itself(node: &Arc<Node>, peer: &Peer) -> bool {
    let told = peer.address.as_ref().map_or(Ok(None), |address| node.told_address(address));
    if !told.is_ok_and(|told| told.is_some()) {
        return false;
    }
    tokio::time::sleep(GRACE).await;
    // It may have called before its answer about the news was here.
    node.last_call(peer.node).is_some_and(|at| at.elapsed() < 2 * GRACE)
}

async fn asked(node: &Arc<Node>, peer: &Peer, vain: &Vain) -> Result<bool> {
    let address = peer.address.as_ref().ok_or_else(|| Error::NoAddress { peer: peer.name.clone() })?;
    let link = Link::new(node.identity(), peer.node, address)?;
    let has = vain.added_to(node.heads().borrow().all());
    let answer = link.post(routes::WAIT, Wait { has }.to_bytes(), 4096, HELD).await?;
    Ok(News::from_bytes(&answer)?.news)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::id::{ReplicaId, Seq, Vector};

    #[tokio::test(start_paused = true)]
    async fn news_that_could_not_be_taken_are_acted_upon_again_after_a_while_and_no_sooner() {
        let at = |seq| Vectors::from([("t".to_owned(), Vector::from([(ReplicaId([1; 16]), Seq(seq))]))]);
        let d = |seq| BTreeMap::from([("d".to_owned(), at(seq))]);
        let mut vain = Vain::default();
        vain.ended(Trigger::Start, 0, d(9));
        assert_eq!(vain.added_to(BTreeMap::new()), BTreeMap::new(), "nothing was said to be new");
        vain.ended(Trigger::News, 0, d(9));
        assert_eq!((vain.added_to(d(3)), vain.added_to(d(12))), (d(9), d(12)));
        assert_eq!(vain.pause, Duration::ZERO, "other news are not put off");
        // A peer that calls all the same, and sessions between that change nothing in that.
        let mut paused = Duration::ZERO;
        for trigger in [Trigger::News, Trigger::Retry, Trigger::News, Trigger::Daily, Trigger::News] {
            vain.ended(trigger, 0, d(9));
            assert!(trigger != Trigger::News || vain.pause > paused, "{trigger:?}");
            paused = paused.max(vain.pause);
        }
        vain.ended(Trigger::Change, 0, d(9));
        vain.ended(Trigger::News, 0, d(9));
        assert!(vain.pause <= Duration::from_secs(1), "a commit here begins anew");
        tokio::time::sleep(LONGEST).await;
        assert_eq!(vain.added_to(d(3)), d(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_kept_unless_the_computer_slept() {
        let pause = Duration::from_secs(300);
        let began = Instant::now();
        let elapsed = move || i64::try_from(began.elapsed().as_millis()).unwrap();
        rest(|| Millis(elapsed()), pause).await;
        assert_eq!(began.elapsed(), pause, "a clock that goes as it should");
        // Asleep for an hour, from the tenth second on.
        let began = Instant::now();
        let elapsed = move || i64::try_from(began.elapsed().as_millis()).unwrap();
        let asleep = || if elapsed() >= 10_000 { 3_600_000 } else { 0 };
        rest(|| Millis(elapsed() + asleep()), pause).await;
        assert_eq!(began.elapsed(), Duration::from_secs(10), "one attempt on waking up");
        // A clock that is put back makes no attempt more.
        let began = Instant::now();
        let elapsed = move || i64::try_from(began.elapsed().as_millis()).unwrap();
        rest(|| Millis(elapsed() * -1_000), pause).await;
        assert_eq!(began.elapsed(), pause);
    }
}
