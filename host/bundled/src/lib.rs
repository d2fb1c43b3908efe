//! The bundled plugins, compiled from plugins/ and embedded
