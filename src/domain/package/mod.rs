//! kpt packages: Kptfile, pipeline, functions, render, and how one package is made from another.

mod absorb;
pub mod archive;
pub mod artifact;
mod bare;
mod chart;
pub mod check;
pub mod context;
pub mod derive;
mod edits;
pub mod evaluate;
pub mod external;
pub mod functions;
pub mod generate;
mod handed;
mod ignore;
mod inventory;
mod kin;
pub mod kptfile;
mod layout;
mod medium;
mod parts;
mod planned;
mod problem;
pub mod reference;
pub mod render;
pub mod rendering;
pub mod report;
mod resources;
pub mod survey;
pub mod transfer;
pub mod upgrade;
pub mod versions;
mod wire;

pub use functions::Catalog;
pub use kptfile::Kptfile;
pub use medium::is_resource_file;
pub use problem::Problem;
pub use render::{RenderError, Rendered, objects, render, render_with};
pub use rendering::{Rendering, Turn};

#[cfg(test)]
mod tests;
