//! What requests to the gateway of these tests carry, and what answers do.

use protocol::worker::fault::{Fault, FaultCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::http::Request;

/// What a request carries.
pub fn json<T: DeserializeOwned>(request: &Request) -> T {
    serde_json::from_slice(&request.body).unwrap()
}

/// An answer that carries this.
pub fn ok(body: &impl Serialize) -> (u16, String) {
    (200, serde_json::to_string(body).unwrap())
}

/// A fault.
pub fn fault(code: FaultCode) -> (u16, String) {
    let fault = Fault::new(code, "no");
    (code.status(), serde_json::to_string(&fault).unwrap())
}
