//! The parts of Grafana's classic dashboard model that the tests need.
//!
//! Unknown fields are ignored, because Grafana adds some with each release.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Folder of the dashboards, relative to the package.
pub const FOLDER: &str = "dashboards";

/// Check that lists the problems of a dashboard, one sentence each.
pub type Check = fn(&Dashboard) -> Vec<String>;

/// Dashboard file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// File name without extension.
    #[serde(skip)]
    pub stem: String,
    /// Complete file, for fields that the model lacks.
    #[serde(skip)]
    pub json: Value,
    pub title: String,
    #[serde(default)]
    pub uid: Option<String>,
    #[serde(default)]
    pub id: Option<i64>,
    pub schema_version: u32,
    /// Whether users can edit the dashboard, default true as in Grafana.
    #[serde(default = "default_true")]
    pub editable: bool,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub links: Vec<Link>,
    pub templating: List<Variable>,
    pub annotations: List<Annotation>,
    pub panels: Vec<Panel>,
}

/// Object with a list as its only field.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    pub list: Vec<T>,
}

/// Link to other dashboards.
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

/// Dashboard variable.
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

/// Annotation query.
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

/// Reference to a data source.
#[derive(Clone, Debug, Deserialize)]
pub struct Datasource {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub uid: String,
}

/// Panel or row.
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
    pub grid_pos: GridPosition,
    #[serde(default)]
    pub datasource: Option<Datasource>,
    #[serde(default)]
    pub targets: Vec<Target>,
    #[serde(default)]
    pub field_config: FieldConfig,
    #[serde(default)]
    pub options: Value,
    /// Minimum step of the queries.
    #[serde(default)]
    pub interval: Option<String>,
    /// Panels of a collapsed row.
    #[serde(default)]
    pub panels: Vec<Panel>,
}

/// Position and size in the grid of 24 columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct GridPosition {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

/// Query of a panel.
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

/// Display options of the fields of a panel.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FieldConfig {
    #[serde(default)]
    pub defaults: Field,
    #[serde(default)]
    pub overrides: Vec<Override>,
}

/// Default display options.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Field {
    pub unit: String,
    pub decimals: Option<u32>,
    pub color: Colour,
    pub thresholds: Thresholds,
    pub mappings: Vec<Value>,
    pub no_value: Option<String>,
}

/// Colour mode.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Colour {
    pub mode: String,
    pub fixed_color: Option<String>,
}

/// Threshold steps.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    pub steps: Vec<Value>,
}

/// Display options of matching fields.
#[derive(Clone, Debug, Deserialize)]
pub struct Override {
    #[serde(default)]
    pub matcher: Value,
    pub properties: Vec<Property>,
}

/// Overridden display option.
#[derive(Clone, Debug, Deserialize)]
pub struct Property {
    pub id: String,
    #[serde(default)]
    pub value: Value,
}

fn default_true() -> bool {
    true
}

impl Dashboard {
    /// Reads and parses a file.
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::from_json(&file.file_stem().unwrap().to_string_lossy(), json)
    }

    /// Parses a dashboard; panics if it does not match the model.
    pub fn from_json(stem: &str, json: Value) -> Self {
        let parsed = Self::deserialize(&json).unwrap_or_else(|error| panic!("{stem}: {error}"));
        Self {
            stem: stem.to_owned(),
            json,
            ..parsed
        }
    }

    /// Returns all panels except rows, including the panels of collapsed rows.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        let all = self
            .panels
            .iter()
            .flat_map(|panel| [panel].into_iter().chain(&panel.panels));
        all.filter(|panel| !panel.is_row())
    }

    /// Returns the variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.templating
            .list
            .iter()
            .find(|variable| variable.name == name)
    }

    /// Returns the variables that query Prometheus.
    pub fn query_variables(&self) -> impl Iterator<Item = &Variable> {
        self.templating
            .list
            .iter()
            .filter(|variable| variable.kind == "query")
    }

    /// Returns the annotations that query Prometheus, without those built into Grafana.
    pub fn query_annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.annotations
            .list
            .iter()
            .filter(|annotation| annotation.built_in == 0)
    }
}

impl Panel {
    /// Returns whether the panel is a row.
    pub fn is_row(&self) -> bool {
        self.kind == "row"
    }
}

impl GridPosition {
    /// Returns whether both areas have a cell in common.
    pub fn overlaps(&self, other: &GridPosition) -> bool {
        let intersect = |a: u32, length: u32, b: u32, other: u32| a < b + other && b < a + length;
        intersect(self.x, self.w, other.x, other.w) && intersect(self.y, self.h, other.y, other.h)
    }
}

impl Variable {
    /// Parses `label_values(selector, label)` into selector and label.
    pub fn label_values(&self) -> Option<(&str, &str)> {
        let arguments = self
            .query
            .strip_prefix("label_values(")?
            .strip_suffix(')')?;
        let (selector, label) = arguments.rsplit_once(',')?;
        Some((selector.trim(), label.trim()))
    }
}

/// Asserts that a check finds no problem in any dashboard.
pub fn assert_no_problems(check: Check) {
    let mut problems = Vec::new();
    for dashboard in all() {
        for problem in check(&dashboard) {
            problems.push(format!("{}: {problem}", dashboard.stem));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Reads all dashboards, sorted by file name.
pub fn all() -> Vec<Dashboard> {
    let files = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no dashboards in {FOLDER}");
    files.iter().map(|file| Dashboard::read(file)).collect()
}
