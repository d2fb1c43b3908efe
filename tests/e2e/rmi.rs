//! rmi
