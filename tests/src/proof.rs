//! What must not compile: forwarding a request that the six layers have not agreed to.
//!
//! Each pair below differs in one thing, and only its first half compiles. They are documentation tests and not `trybuild` cases,
//! since those check the whole tree of dependencies anew, which takes minutes, while these use what is built already.
//!
//! An upstream is chosen with the proof that everything agreed; the policy's permit alone is not that.
//! ```
//! use hangu_gateway::{layers::cloud::peer::{PeerSettings, Silence}, stage::Permitted};
//! fn forward(settings: &PeerSettings, address: std::net::SocketAddr, proof: &Permitted) {
//!     drop(settings.peer(address, Silence::Answer, None, proof));
//! }
//! ```
//! ```compile_fail,E0308
//! use hangu_gateway::{layers::cloud::peer::{PeerSettings, Silence}, stage::Permitted};
//! fn forward(settings: &PeerSettings, address: std::net::SocketAddr, proof: &hangu_policy::Permit) {
//!     drop(settings.peer(address, Silence::Answer, None, proof));
//! }
//! ```
//! ```compile_fail,E0061
//! use hangu_gateway::{layers::cloud::peer::{PeerSettings, Silence}, stage::Permitted};
//! fn forward(settings: &PeerSettings, address: std::net::SocketAddr, proof: &Permitted) {
//!     drop(settings.peer(address, Silence::Answer, None));
//! }
//! ```
//!
//! A permit is given by a decision and by nothing else: its field is private, and there is neither a default nor a copy.
//! ```
//! fn decided(policy: &hangu_policy::Policy, request: &hangu_policy::Request<'_>) -> Option<hangu_policy::Permit> {
//!     match policy.decide(request) {
//!         hangu_policy::Decision::Permit(permit) => Some(permit),
//!         hangu_policy::Decision::Deny(_) => None,
//!     }
//! }
//! ```
//! ```compile_fail,E0451
//! fn forged(rule: hangu_policy::RuleId) -> hangu_policy::Permit {
//!     hangu_policy::Permit { rule }
//! }
//! ```
//! ```compile_fail,E0277
//! fn forged() -> hangu_policy::Permit {
//!     Default::default()
//! }
//! ```
//! ```
//! fn used(permit: hangu_policy::Permit) -> hangu_policy::Permit {
//!     permit
//! }
//! ```
//! ```compile_fail,E0382
//! fn used_twice(permit: hangu_policy::Permit) -> [hangu_policy::Permit; 2] {
//!     [permit, permit]
//! }
//! ```
//!
//! No step of the walk can be left out: only a cleared request can be permitted, only an admitted one cleared.
//! ```
//! use hangu_gateway::stage::{Admitted, Cleared};
//! fn walk(admitted: Admitted<'_, '_>) {
//!     drop(admitted.cleared().ok().map(Cleared::permitted));
//! }
//! ```
//! ```compile_fail,E0599
//! use hangu_gateway::stage::{Admitted, Cleared};
//! fn walk(admitted: Admitted<'_, '_>) {
//!     drop(admitted.permitted());
//! }
//! ```
//! ```compile_fail,E0599
//! use hangu_gateway::stage::{Cleared, Valid};
//! fn walk(valid: Valid<'_, '_>) {
//!     drop(valid.cleared().ok().map(Cleared::permitted));
//! }
//! ```
