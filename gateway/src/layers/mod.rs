//! The six layers of protection, 端边网云数用. None of them knows another: only `pipeline.rs` composes them.

pub mod application;
pub mod cloud;
pub mod data;
pub mod edge;
pub mod endpoint;
pub mod network;

/// One of the six layers, in the order in which a request meets them in the audit record and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// 端: which certificate, device or user is speaking, and is it still good.
    Endpoint,
    /// 边: is the connection admitted, is the message well formed and addressed to us.
    Edge,
    /// 网: may this zone talk to that zone, and how fast.
    Network,
    /// 云: which tenant's workload serves this, is it really that workload, is it healthy.
    Cloud,
    /// 数: what class of data may leave to whom.
    Data,
    /// 用: may this subject do this action on this object now.
    Application,
}

impl Layer {
    /// All six, in order.
    pub const ALL: [Layer; 6] = [
        Layer::Endpoint,
        Layer::Edge,
        Layer::Network,
        Layer::Cloud,
        Layer::Data,
        Layer::Application,
    ];

    /// Position in [`Layer::ALL`], 0 to 5.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in metrics and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::Endpoint => "endpoint",
            Layer::Edge => "edge",
            Layer::Network => "network",
            Layer::Cloud => "cloud",
            Layer::Data => "data",
            Layer::Application => "application",
        }
    }
}
