//! Dockerfiles: the frontend that `nacre build` uses unless a file asks for another one.

nacre_sdk::build_frontend!(build);

/// The images that a Dockerfile means.
pub fn build(_frontend: &str, request: nacre_sdk::frontend::Request) -> Result<Vec<nacre_sdk::frontend::Image>, nacre_sdk::Error> {
    dockerfile_core::lower::lower(&request, &mut dockerfile_core::lower::Host)
}
