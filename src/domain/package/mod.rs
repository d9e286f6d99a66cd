//! kpt packages: Kptfile, pipeline, functions, render, and how one package is made from another.

pub mod check;
pub mod derive;
pub mod functions;
pub mod kptfile;
mod parts;
mod problem;
pub mod reference;
pub mod render;
mod resources;
pub mod upgrade;

pub use functions::Catalog;
pub use kptfile::Kptfile;
pub use problem::Problem;
pub use render::{RenderError, Rendered, objects, render};

#[cfg(test)]
mod tests;
