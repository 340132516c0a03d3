//! The little of Grafana's classic dashboard model that the tests need.
//!
//! Owns how a dashboard is read; what is wrong with one is for the other modules to say. Fields that are unknown here
//! are let through: Grafana adds some with each release.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// The folder, from the package's, in which tests run.
pub const FOLDER: &str = "dashboards";

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// The name of the file, without its ending.
    #[serde(skip)]
    pub stem: String,
    /// All of it, for what the model lacks.
    #[serde(skip)]
    pub json: Value,
    pub title: String,
    #[serde(default)]
    pub uid: Option<String>,
    #[serde(default)]
    pub id: Option<i64>,
    pub schema_version: u32,
    /// Grafana takes a missing one for true.
    #[serde(default = "yes")]
    pub editable: bool,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub links: Vec<Link>,
    pub templating: List<Variable>,
    pub annotations: List<Annotation>,
    pub panels: Vec<Panel>,
}

/// A list in an object of its own.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    pub list: Vec<T>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub include_vars: bool,
    #[serde(default)]
    pub keep_time: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub datasource: Option<Datasource>,
    #[serde(default)]
    pub query: String,
    #[serde(default)]
    pub multi: bool,
    #[serde(default)]
    pub include_all: bool,
    #[serde(default)]
    pub all_value: Option<String>,
    #[serde(default)]
    pub refresh: u8,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Annotation {
    pub name: String,
    pub datasource: Option<Datasource>,
    pub expr: String,
    pub built_in: u8,
    pub title_format: String,
    pub text_format: String,
    pub tag_keys: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Datasource {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub uid: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    pub id: i64,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub description: String,
    pub grid_pos: Place,
    #[serde(default)]
    pub datasource: Option<Datasource>,
    #[serde(default)]
    pub targets: Vec<Target>,
    #[serde(default)]
    pub field_config: FieldConfig,
    #[serde(default)]
    pub options: Value,
    /// Least step of its queries.
    #[serde(default)]
    pub interval: Option<String>,
    /// Those of a collapsed row.
    #[serde(default)]
    pub panels: Vec<Panel>,
}

/// A place in the grid of 24 columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Place {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub ref_id: String,
    #[serde(default)]
    pub datasource: Option<Datasource>,
    #[serde(default)]
    pub expr: String,
    #[serde(default)]
    pub legend_format: String,
    #[serde(default)]
    pub range: bool,
    #[serde(default)]
    pub interval: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct FieldConfig {
    #[serde(default)]
    pub defaults: Field,
    #[serde(default)]
    pub overrides: Vec<Override>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Field {
    pub unit: String,
    pub color: Colour,
    pub thresholds: Thresholds,
    pub mappings: Vec<Value>,
    pub no_value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Colour {
    pub mode: String,
    pub fixed_color: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    pub steps: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Override {
    #[serde(default)]
    pub matcher: Value,
    pub properties: Vec<Property>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Property {
    pub id: String,
    #[serde(default)]
    pub value: Value,
}

fn yes() -> bool {
    true
}

impl Dashboard {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::of(&file.file_stem().unwrap().to_string_lossy(), json)
    }

    /// The dashboard that this is.
    pub fn of(stem: &str, json: Value) -> Self {
        let read = Self::deserialize(&json).unwrap_or_else(|error| panic!("{stem}: {error}"));
        Self {
            stem: stem.to_owned(),
            json,
            ..read
        }
    }

    /// All panels that are no rows, those in collapsed rows included.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        let all = self
            .panels
            .iter()
            .flat_map(|panel| [panel].into_iter().chain(&panel.panels));
        all.filter(|panel| !panel.is_row())
    }

    /// The variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.templating
            .list
            .iter()
            .find(|variable| variable.name == name)
    }

    /// The variables that ask Prometheus.
    pub fn queried(&self) -> impl Iterator<Item = &Variable> {
        self.templating
            .list
            .iter()
            .filter(|variable| variable.kind == "query")
    }

    /// The annotations that ask Prometheus, not Grafana itself.
    pub fn asked(&self) -> impl Iterator<Item = &Annotation> {
        self.annotations
            .list
            .iter()
            .filter(|annotation| annotation.built_in == 0)
    }
}

impl Panel {
    pub fn is_row(&self) -> bool {
        self.kind == "row"
    }
}

impl Place {
    pub fn overlaps(&self, other: &Place) -> bool {
        let meet = |a: u32, long: u32, b: u32, other: u32| a < b + other && b < a + long;
        meet(self.x, self.w, other.x, other.w) && meet(self.y, self.h, other.y, other.h)
    }
}

impl Variable {
    /// What `label_values(selector, label)` asks for.
    pub fn label_values(&self) -> Option<(&str, &str)> {
        let within = self
            .query
            .strip_prefix("label_values(")?
            .strip_suffix(')')?;
        let (selector, label) = within.rsplit_once(',')?;
        Some((selector.trim(), label.trim()))
    }
}

/// All dashboards, by the names of their files.
pub fn all() -> Vec<Dashboard> {
    let files = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no dashboards in {FOLDER}");
    files.iter().map(|file| Dashboard::read(file)).collect()
}
