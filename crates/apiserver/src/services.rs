//! Addresses and node ports of Services: handed out, never reachable.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::Api;
use crate::builtin::needs_cluster_ip;
use crate::store::ResourceId;

/// Node ports are taken from here, as upstream does by default.
const NODE_PORTS: std::ops::Range<u64> = 30_000..32_768;

/// Random picks before the search goes through the range in order.
const PICKS: usize = 16;

impl Api {
    /// Gives a Service the address and the node ports it asks for.
    pub(crate) fn allocate(&self, service: &mut Value) {
        if !service["spec"].is_object() {
            return;
        }
        let others = self.store.list(&ResourceId::new("", "services"), None);
        let specs: Vec<&Value> = others.items.iter().map(|(_, record)| &record.value["spec"]).collect();
        if needs_cluster_ip(service) {
            let taken: BTreeSet<&str> = specs.iter().filter_map(|spec| spec["clusterIP"].as_str()).collect();
            let address = |number: u64| format!("10.96.{}.{}", number / 256, number % 256);
            // The first address is the network's, the second the server's own Service.
            let free = self.pick(1..65_535, |number| !taken.contains(address(number).as_str()));
            service["spec"]["clusterIP"] = json!(free.map(address));
        }
        let kind = service["spec"]["type"].as_str().unwrap_or_default();
        let exposed = kind == "NodePort"
            || kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false;
        if !exposed {
            return;
        }
        let ports = specs.iter().flat_map(|spec| spec["ports"].as_array().into_iter().flatten());
        let mut taken: BTreeSet<u64> = ports.filter_map(|port| port["nodePort"].as_u64()).collect();
        for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if port["nodePort"].as_u64().is_none_or(|number| number == 0)
                && let Some(free) = self.pick(NODE_PORTS, |number| !taken.contains(&number))
            {
                taken.insert(free);
                port["nodePort"] = json!(free);
            }
        }
    }

    /// A free number of a range, at random while that succeeds.
    fn pick(&self, range: std::ops::Range<u64>, free: impl Fn(u64) -> bool) -> Option<u64> {
        let size = range.end - range.start;
        for _ in 0..PICKS {
            let mut random = [0u8; 8];
            self.chance.fill(&mut random);
            let number = range.start + u64::from_le_bytes(random) % size;
            if free(number) {
                return Some(number);
            }
        }
        range.into_iter().find(|number| free(*number))
    }
}
