//! kpt packages: Kptfile, pipeline, functions, render.
