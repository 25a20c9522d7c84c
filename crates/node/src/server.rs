//! The side that is called: connections, who may open one, and the bounds on each.
//!
//! Always true here: a caller is a paired node, or, while an invite is open, one that may ask to join and nothing
//! else. That is decided in the handshake and again for each request, so that a retired node is cut off at once.
//! Everything that a caller can make us spend (connections, bytes, time) has a bound.
use crate::identity::{NodeId, certified};
use crate::node::Node;
use crate::routes;
use crate::state::State;
use crate::tls;
use crate::{Error, Result};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What a server spends at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections of nodes that have proved who they are.
    pub connections: usize,
    /// Connections that are still in their handshake.
    pub handshakes: usize,
    /// Of those, from one address.
    pub handshakes_per_address: usize,
    /// Beside those, from addresses from which paired nodes have come: strangers elsewhere can't take these.
    pub handshakes_reserved: usize,
    /// Of all connections, those of nodes that are not paired, while an invite is open.
    pub strangers: usize,
    /// For a handshake.
    pub handshake: Duration,
    /// For the head of a request, and between requests.
    pub head: Duration,
    /// For a whole connection of a node that is not paired.
    pub stranger: Duration,
    /// For a request that is under way when the server is asked to end.
    pub farewell: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: 512,
            handshakes: 128,
            handshakes_per_address: 16,
            handshakes_reserved: 32,
            strangers: 32,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            stranger: Duration::from_secs(30),
            farewell: Duration::from_secs(10),
        }
    }
}

/// Becomes true when the server is to end.
pub type Stop = watch::Receiver<bool>;

/// Resolves when it is true, or when nobody can make it so any more.
pub async fn stopped(stop: &mut Stop) {
    let _closed = stop.wait_for(|stop| *stop).await;
}

/// Who calls, as the handshake showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub NodeId);

/// What decides who may come in. It reads the state through a connection of its own, so that a handshake never waits
/// behind other work.
pub(crate) struct Gate {
    node: Arc<Node>,
    state: State,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A paired node: what its shares say.
    Peer,
    /// An unknown one, while an invite is open: to ask to join.
    Invited,
    /// An unknown one: nothing.
    Nobody,
}

impl Gate {
    pub(crate) fn new(node: Arc<Node>) -> Result<Gate> {
        let state = State::open(node.home())?;
        Ok(Gate { node, state })
    }

    pub(crate) fn standing(&self, caller: NodeId) -> Result<Standing> {
        if self.state.is_peer(caller)? {
            return Ok(Standing::Peer);
        }
        Ok(if self.state.invites_open(caller, self.node.now())? { Standing::Invited } else { Standing::Nobody })
    }

    /// When in doubt, nobody comes in.
    pub(crate) fn look(&self, caller: NodeId) -> Standing {
        self.standing(caller).unwrap_or_else(|e| {
            tracing::error!(error = %e, "the node's state could not be read; nobody is let in");
            Standing::Nobody
        })
    }
}

/// Serves until it is asked to stop, then lets what is under way finish.
pub async fn serve(node: Arc<Node>, listener: TcpListener, bounds: Bounds, mut stop: Stop) -> Result<()> {
    let gate = Arc::new(Gate::new(node.clone())?);
    let admits = gate.clone();
    let config = tls::server_config(node.identity(), Arc::new(move |id| admits.look(id) != Standing::Nobody))
        .map_err(|source| Error::Tls { source })?;
    let house = Arc::new(House {
        acceptor: TlsAcceptor::from(config),
        routes: routes::routes(node, gate.clone(), stop.clone()),
        gate,
        bounds,
        connections: Arc::new(Semaphore::new(bounds.connections)),
        handshakes: Arc::new(Semaphore::new(bounds.handshakes)),
        reserved: Arc::new(Semaphore::new(bounds.handshakes_reserved)),
        strangers: Semaphore::new(bounds.strangers),
        addresses: Mutex::default(),
        known: Mutex::default(),
        stop: stop.clone(),
    });
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => house.clone().admit(stream, from, &mut guests),
                Err(e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    let farewell = async { while guests.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.farewell, farewell).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
    Ok(())
}

struct House {
    acceptor: TlsAcceptor,
    routes: Router,
    gate: Arc<Gate>,
    bounds: Bounds,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    strangers: Semaphore,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    /// From where paired nodes have come.
    known: Mutex<HashSet<IpAddr>>,
    stop: Stop,
}

/// A place among the handshakes.
struct Place {
    /// Among those of one address; none: a reserved one.
    counted: Option<(Arc<House>, IpAddr)>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((house, address)) = &self.counted else { return };
        let mut addresses = lock(&house.addresses);
        if let Some(n) = addresses.get_mut(address) {
            *n -= 1;
            if *n == 0 {
                addresses.remove(address);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl House {
    fn place(self: &Arc<House>, address: IpAddr) -> Option<Place> {
        self.common_place(address).or_else(|| {
            let is_known = lock(&self.known).contains(&address);
            let permit = is_known.then(|| self.reserved.clone().try_acquire_owned().ok()).flatten()?;
            Some(Place { counted: None, _permit: permit })
        })
    }

    fn common_place(self: &Arc<House>, address: IpAddr) -> Option<Place> {
        let permit = self.handshakes.clone().try_acquire_owned().ok()?;
        let mut addresses = lock(&self.addresses);
        let n = addresses.entry(address).or_default();
        if *n >= self.bounds.handshakes_per_address {
            return None;
        }
        *n += 1;
        Some(Place { counted: Some((self.clone(), address)), _permit: permit })
    }

    /// Nothing is said to those for whom there is no room: the connection just closes.
    fn admit(self: Arc<House>, stream: TcpStream, from: SocketAddr, guests: &mut JoinSet<()>) {
        let Some(place) = self.place(from.ip()) else {
            tracing::debug!(%from, "no room for another handshake");
            return;
        };
        guests.spawn(async move {
            let handshake = tokio::time::timeout(self.bounds.handshake, self.acceptor.accept(stream)).await;
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                tracing::warn!(%from, "no room for another connection");
                return;
            };
            drop(place);
            match handshake {
                Ok(Ok(stream)) => self.host(stream, from).await,
                Ok(Err(e)) => tracing::info!(%from, error = %e, "a handshake failed"),
                Err(_) => tracing::info!(%from, "a handshake took too long"),
            }
            drop(permit);
        });
    }

    async fn host(&self, stream: tokio_rustls::server::TlsStream<TcpStream>, from: SocketAddr) {
        let certificate = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
        let Some(Ok(id)) = certificate.map(certified) else {
            tracing::error!(%from, "a connection without a certificate came through the handshake");
            return;
        };
        let known = self.gate.look(id) == Standing::Peer;
        let _place = if known {
            lock(&self.known).insert(from.ip());
            None
        } else {
            let Ok(place) = self.strangers.try_acquire() else {
                tracing::warn!(%from, node = %id, "no room for another node that is not paired");
                return;
            };
            Some(place)
        };
        let routes = self.routes.clone().layer(axum::Extension(from)).layer(axum::Extension(Caller(id)));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.head)
            .max_buf_size(64 << 10)
            .max_headers(32)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        let mut connection = std::pin::pin!(connection);
        let mut stop = self.stop.clone();
        let served = async {
            tokio::select! {
                served = connection.as_mut() => served,
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.as_mut().await
                }
            }
        };
        let served = if known {
            served.await
        } else {
            match tokio::time::timeout(self.bounds.stranger, served).await {
                Ok(served) => served,
                Err(_) => return,
            }
        };
        if let Err(e) = served {
            tracing::debug!(%from, node = %id, error = %e, "a connection ended early");
        }
    }
}
