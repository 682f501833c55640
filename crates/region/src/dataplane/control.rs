//! The one place that changes anything: it takes in topologies and check
//! results under one lock and publishes a new picture for requests to read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::group::{Group, Job, JobKind, Ticket};
use super::health::{CheckOutcome, TargetHealth};
use super::listen::Acceptor;
use super::plane::Plane;
use super::routing::{ActionRoute, ForwardRoute, GroupRoute, ListenerRoute, Routing, RuleRoute};
use super::statistics::Recorder;
use super::topology::{Action, Forward, Listener, LoadBalancer, Topology};
use super::{ListenError, bind, check};

/// What changes a data plane.
#[derive(Debug)]
pub(super) struct Control {
    plane: Arc<Plane>,
    runtime: Handle,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    load_balancers: Vec<LoadBalancer>,
    balancers: BTreeMap<String, Arc<Recorder>>,
    groups: BTreeMap<String, Group>,
    /// Sockets handed over for listeners to come.
    adopted: BTreeMap<SocketAddr, TcpListener>,
    acceptors: BTreeMap<SocketAddr, Arc<Acceptor>>,
    epochs: u64,
}

impl Control {
    pub(super) fn new(plane: Arc<Plane>, runtime: Handle) -> Arc<Self> {
        Arc::new(Self { plane, runtime, state: Mutex::default(), changes: watch::Sender::new(0) })
    }

    pub(super) fn plane(&self) -> &Arc<Plane> {
        &self.plane
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn adopt(&self, address: SocketAddr, socket: TcpListener) {
        self.lock().adopted.insert(address, socket);
    }

    pub(super) fn apply(self: &Arc<Self>, topology: Topology) -> Vec<ListenError> {
        let mut state = self.lock();
        let before = state.all_health();
        let jobs = state.update_groups(topology.target_groups, &attached(&topology.load_balancers));
        state.update_balancers(topology.load_balancers);
        self.plane.routing.store(Arc::new(state.routing()));
        let failures = self.update_listeners(&mut state);
        let changed = state.all_health() != before;
        drop(state);
        for job in jobs {
            self.begin(job);
        }
        if changed {
            self.tell();
        }
        failures
    }

    /// Opens the sockets that are missing, and lets those that no listener
    /// wants close themselves.
    fn update_listeners(self: &Arc<Self>, state: &mut State) -> Vec<ListenError> {
        let listeners: Vec<(String, SocketAddr)> =
            state.listeners().map(|listener| (listener.arn.clone(), listener.address)).collect();
        let wanted: BTreeSet<SocketAddr> = listeners.iter().map(|(_, address)| *address).collect();
        for (address, acceptor) in &state.acceptors {
            if !wanted.contains(address) {
                acceptor.look.notify_one();
                self.plane.clients.each(|client| {
                    if client.listener == *address {
                        client.close();
                    }
                });
            }
        }
        let mut failures = Vec::new();
        for (listener, address) in listeners {
            if state.acceptors.contains_key(&address) {
                continue;
            }
            let socket = state.adopted.remove(&address).map_or_else(|| bind::listen(address), Ok);
            let _runtime = self.runtime.enter();
            match socket.and_then(|socket| Acceptor::spawn(self, address, socket)) {
                Ok(acceptor) => drop(state.acceptors.insert(address, acceptor)),
                Err(source) => failures.push(ListenError { listener, address, source }),
            }
        }
        failures
    }

    /// Gives an acceptor its socket back, or closes it if no listener is at its
    /// address any more. Decided under the lock, so that a listener that comes
    /// back finds its socket either open or free.
    pub(super) fn keep_or_close(
        &self,
        address: SocketAddr,
        socket: tokio::net::TcpListener,
    ) -> Option<tokio::net::TcpListener> {
        let mut state = self.lock();
        if state.listeners().any(|listener| listener.address == address) {
            return Some(socket);
        }
        state.acceptors.remove(&address);
        drop(socket);
        None
    }

    fn begin(self: &Arc<Self>, job: Job) {
        let control = Arc::clone(self);
        let begun = self.plane.clock.monotonic();
        self.plane.tasks.spawn_on(
            async move {
                tokio::select! {
                    () = job.token.cancelled() => {}
                    () = control.plane.closing.cancelled() => {}
                    () = control.run(&job, begun) => {}
                }
            },
            &self.runtime,
        );
    }

    async fn run(&self, job: &Job, begun: Duration) {
        let clock = &self.plane.clock;
        match job.kind {
            JobKind::Drain => {
                let passed = clock.monotonic().saturating_sub(begun);
                clock.sleep(job.spec.deregistration_delay.saturating_sub(passed)).await;
                self.expire(&job.ticket);
            }
            JobKind::Check => loop {
                let settings = &job.spec.health_check;
                let started = clock.monotonic();
                let outcome = check::check(job.ticket.target, settings, clock).await;
                self.observe(&job.ticket, outcome);
                let took = clock.monotonic().saturating_sub(started);
                clock.sleep(settings.interval.saturating_sub(took)).await;
            },
        }
    }

    fn observe(&self, ticket: &Ticket, outcome: CheckOutcome) {
        let mut state = self.lock();
        let changed = state.groups.get_mut(&ticket.group).is_some_and(|group| group.observe(ticket, outcome));
        if changed {
            tracing::debug!(group = ticket.group, target = %ticket.target.address(), ?outcome, "health changed");
            self.publish(state);
        }
    }

    fn expire(&self, ticket: &Ticket) {
        let mut state = self.lock();
        let changed = state.groups.get_mut(&ticket.group).is_some_and(|group| group.expire(ticket));
        if changed {
            self.publish(state);
            self.plane.clients.each(|client| client.wake());
        }
    }

    fn publish(&self, state: MutexGuard<'_, State>) {
        self.plane.routing.store(Arc::new(state.routing()));
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn health(&self, group: &str) -> Option<Vec<TargetHealth>> {
        self.lock().groups.get(group).map(Group::health)
    }

    /// Reads the counters of a load balancer or a group.
    pub(super) fn recorder<T>(&self, arn: &str, read: impl FnOnce(&Recorder) -> T) -> Option<T> {
        let state = self.lock();
        let group = state.groups.get(arn).map(|group| Arc::clone(&group.handle));
        let balancer = state.balancers.get(arn).cloned();
        drop(state);
        match group {
            Some(group) => Some(read(&group.recorder)),
            None => balancer.map(|balancer| read(&balancer)),
        }
    }

    /// What is due once a second: counters are put away, connections looked at.
    pub(super) fn tick(&self) {
        let state = self.lock();
        let groups: Vec<_> =
            state.groups.values().map(|group| (Arc::clone(&group.handle), group.hosts())).collect();
        let balancers: Vec<_> = state.balancers.values().cloned().collect();
        let targets: Vec<_> = state.groups.values().flat_map(Group::targets).cloned().collect();
        drop(state);
        let (now, monotonic) = (self.plane.clock.now(), self.plane.clock.monotonic());
        for (group, hosts) in groups {
            group.recorder.tick(now, hosts);
        }
        for balancer in balancers {
            balancer.tick(now, None);
        }
        for target in targets {
            target.pool().sweep(monotonic);
        }
    }

    /// Forgets everything; sockets that were adopted and never used close.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        for group in state.groups.values_mut() {
            group.close();
        }
        state.adopted.clear();
    }
}

/// The groups that some rule names.
fn attached(load_balancers: &[LoadBalancer]) -> BTreeSet<String> {
    let listeners = load_balancers.iter().flat_map(|balancer| &balancer.listeners);
    let actions = listeners.flat_map(|listener| {
        listener.rules.iter().map(|rule| &rule.action).chain([&listener.default_action])
    });
    let forwards = actions.filter_map(|action| match action {
        Action::Forward(forward) => Some(forward),
        Action::FixedResponse(_) | Action::Redirect(_) => None,
    });
    forwards.flat_map(|forward| forward.groups.iter().map(|group| group.arn.clone())).collect()
}

impl State {
    fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.load_balancers.iter().flat_map(|balancer| &balancer.listeners)
    }

    fn all_health(&self) -> BTreeMap<String, Vec<TargetHealth>> {
        self.groups.iter().map(|(arn, group)| (arn.clone(), group.health())).collect()
    }

    fn update_groups(&mut self, specs: Vec<super::TargetGroup>, attached: &BTreeSet<String>) -> Vec<Job> {
        let wanted: BTreeSet<String> = specs.iter().map(|spec| spec.arn.clone()).collect();
        self.groups.retain(|arn, group| {
            let stays = wanted.contains(arn);
            if !stays {
                group.close();
            }
            stays
        });
        let mut jobs = Vec::new();
        for spec in specs {
            let group = self.groups.entry(spec.arn.clone()).or_insert_with(|| Group::new(spec.clone()));
            let attached = attached.contains(&spec.arn);
            jobs.extend(group.update(spec, attached, &mut self.epochs));
        }
        jobs
    }

    fn update_balancers(&mut self, load_balancers: Vec<LoadBalancer>) {
        let mut last = std::mem::take(&mut self.balancers);
        for balancer in &load_balancers {
            let recorder = last.remove(&balancer.arn).unwrap_or_else(|| Arc::new(Recorder::new()));
            self.balancers.insert(balancer.arn.clone(), recorder);
        }
        self.load_balancers = load_balancers;
    }

    /// The picture that requests read.
    fn routing(&self) -> Routing {
        let groups: BTreeMap<&str, Arc<GroupRoute>> =
            self.groups.iter().map(|(arn, group)| (arn.as_str(), Arc::new(group.route()))).collect();
        let mut listeners = BTreeMap::new();
        for balancer in &self.load_balancers {
            let Some(recorder) = self.balancers.get(&balancer.arn) else { continue };
            for listener in &balancer.listeners {
                let route = listener_route(balancer, recorder, listener, &groups);
                listeners.insert(listener.address, route);
            }
        }
        Routing { listeners }
    }
}

fn listener_route(
    balancer: &LoadBalancer,
    recorder: &Arc<Recorder>,
    listener: &Listener,
    groups: &BTreeMap<&str, Arc<GroupRoute>>,
) -> ListenerRoute {
    let mut rules: Vec<_> = listener.rules.iter().collect();
    rules.sort_by_key(|rule| rule.priority);
    let rule_route = |rule: &super::Rule| RuleRoute {
        conditions: rule.conditions.clone(),
        action: action_route(&rule.action, groups),
    };
    ListenerRoute {
        balancer: Arc::clone(recorder),
        idle_timeout: balancer.idle_timeout,
        rules: rules.into_iter().map(rule_route).collect(),
        default: action_route(&listener.default_action, groups),
    }
}

fn action_route(action: &Action, groups: &BTreeMap<&str, Arc<GroupRoute>>) -> ActionRoute {
    match action {
        Action::Forward(forward) => ActionRoute::Forward(forward_route(forward, groups)),
        Action::FixedResponse(fixed) => ActionRoute::Fixed(fixed.clone()),
        Action::Redirect(redirect) => ActionRoute::Redirect(redirect.clone()),
    }
}

/// A group that the topology lacks keeps its share, which is answered 503: its
/// weight must not silently become another group's.
fn forward_route(forward: &Forward, groups: &BTreeMap<&str, Arc<GroupRoute>>) -> ForwardRoute {
    let route = |group: &super::WeightedGroup| {
        let known = groups.get(group.arn.as_str()).cloned();
        (known.unwrap_or_else(|| Arc::new(GroupRoute::empty(&group.arn))), group.weight)
    };
    ForwardRoute { groups: forward.groups.iter().map(route).collect(), stickiness: forward.stickiness }
}
