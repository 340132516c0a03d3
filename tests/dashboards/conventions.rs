//! Conventions of this project for its dashboards.
//!
//! Each convention is a [`Check`](crate::model::Check) and a test that no dashboard violates it. `mutations` proves that
//! each check can fail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::common::markdown;
use crate::model::{self, Dashboard, Datasource, Panel, Variable, assert_no_problems};

/// Tag of every dashboard.
const TAG: &str = "ringcentral";
/// Variable that contains the chosen data source.
const DATASOURCE: &str = "${datasource}";
/// Width of the grid.
const COLUMNS: u32 = 24;

/// Returns the problem unless the condition is true.
fn unless(condition: bool, problem: impl FnOnce() -> String) -> Vec<String> {
    if condition {
        Vec::new()
    } else {
        vec![problem()]
    }
}

/// Lists the problems of all panels except rows, each with the name of its panel.
fn check_panels(dashboard: &Dashboard, check: impl Fn(&Panel) -> Vec<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for panel in dashboard.panels() {
        for problem in check(panel) {
            problems.push(format!("{}: {problem}", describe(panel)));
        }
    }
    problems
}

/// Describes a panel by title and id.
fn describe(panel: &Panel) -> String {
    format!("panel {:?} (id {})", panel.title, panel.id)
}

pub fn schema(dashboard: &Dashboard) -> Vec<String> {
    let version = dashboard.schema_version;
    unless((41..=42).contains(&version), || {
        format!("schemaVersion is {version}, expected 41 or 42")
    })
}

#[test]
fn schema_version_is_that_of_grafana_12() {
    assert_no_problems(schema);
}

pub fn no_id(dashboard: &Dashboard) -> Vec<String> {
    unless(dashboard.id.is_none(), || {
        "id is specific to one database and must be null".to_owned()
    })
}

#[test]
fn no_dashboard_has_a_database_id() {
    assert_no_problems(no_id);
}

pub fn not_editable(dashboard: &Dashboard) -> Vec<String> {
    unless(!dashboard.editable, || {
        "editable must be false: Grafana cannot save a provisioned dashboard".to_owned()
    })
}

#[test]
fn no_dashboard_is_editable() {
    assert_no_problems(not_editable);
}

pub fn uid(dashboard: &Dashboard) -> Vec<String> {
    let uid = dashboard.uid.as_deref();
    unless(uid == Some(&dashboard.stem), || {
        format!("uid is {uid:?}, expected the name of the file")
    })
}

#[test]
fn uid_is_the_name_of_the_file() {
    assert_no_problems(uid);
}

pub fn no_export(dashboard: &Dashboard) -> Vec<String> {
    let keys = ["__inputs", "__requires", "__elements"]
        .into_iter()
        .filter(|key| dashboard.json.get(key).is_some());
    keys.map(|key| format!("{key} is only valid in an export, and the files are provisioned"))
        .collect()
}

#[test]
fn no_dashboard_is_an_export() {
    assert_no_problems(no_export);
}

pub fn tag(dashboard: &Dashboard) -> Vec<String> {
    let tags = &dashboard.tags;
    unless(tags.iter().any(|tag| tag == TAG), || {
        format!("tags are {tags:?}, without {TAG:?}")
    })
}

#[test]
fn every_dashboard_has_the_tag() {
    assert_no_problems(tag);
}

pub fn link(dashboard: &Dashboard) -> Vec<String> {
    let is_linked = dashboard.links.iter().any(|link| {
        link.kind == "dashboards"
            && link.tags.iter().any(|tag| tag == TAG)
            && link.include_vars
            && link.keep_time
    });
    unless(is_linked, || {
        format!("a link to the dashboards with tag {TAG:?}, with variables and time, is missing")
    })
}

#[test]
fn dashboards_link_to_each_other_substitute_variables() {
    assert_no_problems(link);
}

pub fn urls(dashboard: &Dashboard) -> Vec<String> {
    let uids: BTreeSet<_> = model::all()
        .into_iter()
        .filter_map(|dashboard| dashboard.uid)
        .collect();
    let is_valid = |url: &str| {
        let uid = url
            .strip_prefix("/d/")
            .map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        url.starts_with("https://") || uid.is_some_and(|uid| uids.contains(uid))
    };
    let mut found = Vec::new();
    collect_urls(&dashboard.json, &mut found);
    found
        .into_iter()
        .filter(|url| !is_valid(url))
        .map(|url| format!("{url:?} does not lead to a dashboard"))
        .collect()
}

/// Collects the URLs of links in dashboards, panels, fields and overrides.
fn collect_urls(json: &Value, found: &mut Vec<String>) {
    if let Some(url) = json["url"].as_str().filter(|url| !url.is_empty()) {
        found.push(url.to_owned());
    }
    let parts: Vec<_> = match json {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    parts.into_iter().for_each(|part| collect_urls(part, found));
}

#[test]
fn every_url_leads_to_an_existing_dashboard() {
    assert_no_problems(urls);
}

pub fn datasource(dashboard: &Dashboard) -> Vec<String> {
    let names = dashboard
        .templating
        .list
        .iter()
        .filter(|variable| variable.kind == "datasource");
    let names: Vec<_> = names.map(|variable| &variable.name).collect();
    unless(names == ["datasource"], || {
        format!("variables of kind datasource are {names:?}, expected only \"datasource\"")
    })
}

#[test]
fn the_only_datasource_variable_is_named_datasource() {
    assert_no_problems(datasource);
}

pub fn variable_chain(dashboard: &Dashboard) -> Vec<String> {
    let chain = [
        ("job", "ringcentral_up"),
        ("instance", r#"ringcentral_up{job=~"$job"}"#),
        (
            "account",
            r#"ringcentral_up{job=~"$job",instance=~"$instance"}"#,
        ),
    ];
    let check = |(name, selector): (&str, &str)| {
        let query = dashboard
            .variable(name)
            .map(|variable| variable.query.as_str());
        let expected = format!("label_values({selector}, {name})");
        unless(query == Some(&expected), || {
            format!("variable {name} has the query {query:?}, expected {expected:?}")
        })
    };
    chain.into_iter().flat_map(check).collect()
}

#[test]
fn variables_are_chained_from_job_to_account() {
    assert_no_problems(variable_chain);
}

pub fn variable_settings(dashboard: &Dashboard) -> Vec<String> {
    let settings = |variable: &Variable| {
        [
            (variable.multi, "multi is false"),
            (variable.include_all, "includeAll is false"),
            (
                variable.all_value.as_deref() == Some(".+"),
                "allValue is not .+",
            ),
            (
                variable.refresh == 2,
                "refresh is not 2 (when the time range changes)",
            ),
        ]
        .into_iter()
        .flat_map(|(condition, problem)| {
            unless(condition, || {
                format!("variable {}: {problem}", variable.name)
            })
        })
        .collect::<Vec<_>>()
    };
    dashboard.query_variables().flat_map(settings).collect()
}

#[test]
fn variables_accept_several_or_all_values() {
    assert_no_problems(variable_settings);
}

pub fn title(dashboard: &Dashboard) -> Vec<String> {
    check_panels(dashboard, |panel| {
        unless(!panel.title.trim().is_empty(), || {
            "the title is missing".to_owned()
        })
    })
}

#[test]
fn every_panel_has_a_title() {
    assert_no_problems(title);
}

pub fn unique_titles(dashboard: &Dashboard) -> Vec<String> {
    let mut ids: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for panel in dashboard.panels().filter(|panel| !panel.title.is_empty()) {
        ids.entry(&panel.title).or_default().push(panel.id);
    }
    let duplicates = ids.into_iter().filter(|(_, ids)| ids.len() > 1);
    duplicates
        .map(|(title, ids)| format!("panels {ids:?} have the same title {title:?}"))
        .collect()
}

#[test]
fn panel_titles_are_unique() {
    assert_no_problems(unique_titles);
}

pub fn description(dashboard: &Dashboard) -> Vec<String> {
    // Fewer than five words only repeat the title.
    let is_sentence = |text: &str| {
        text.split_whitespace().count() >= 5 && text.starts_with(|c: char| c.is_uppercase())
    };
    check_panels(dashboard, |panel| {
        let text = &panel.description;
        let mut problems = unless(is_sentence(text), || {
            format!("the description is not a sentence: {text:?}")
        });
        problems.extend(unless(text.ends_with('.'), || {
            format!("the description does not end with a full stop: {text:?}")
        }));
        problems
    })
}

#[test]
fn panel_descriptions_are_sentences() {
    assert_no_problems(description);
}

pub fn unit(dashboard: &Dashboard) -> Vec<String> {
    check_panels(dashboard, |panel| {
        unless(!panel.field_config.defaults.unit.is_empty(), || {
            "the unit is missing".to_owned()
        })
    })
}

#[test]
fn every_panel_has_a_unit() {
    assert_no_problems(unit);
}

/// Lists the single numbers without thresholds or a fixed colour.
///
/// A single step is not a threshold, because the first one starts at minus infinity.
pub fn colour(dashboard: &Dashboard) -> Vec<String> {
    check_panels(dashboard, |panel| {
        let field = &panel.field_config.defaults;
        let is_fixed = field.color.mode == "fixed" && field.color.fixed_color.is_some();
        let has_thresholds = field.color.mode == "thresholds" && field.thresholds.steps.len() > 1;
        let is_valid =
            !["stat", "gauge"].contains(&panel.kind.as_str()) || is_fixed || has_thresholds;
        unless(is_valid, || {
            format!("neither thresholds nor a fixed colour: {:?}", field.color)
        })
    })
}

#[test]
fn stat_panels_have_thresholds_or_a_fixed_colour() {
    assert_no_problems(colour);
}

pub fn unique_ids(dashboard: &Dashboard) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = dashboard
        .panels
        .iter()
        .flat_map(|panel| [panel].into_iter().chain(&panel.panels));
    all.filter(|panel| !seen.insert(panel.id))
        .map(|panel| format!("{}: duplicate id", describe(panel)))
        .collect()
}

#[test]
fn panel_ids_are_unique() {
    assert_no_problems(unique_ids);
}

pub fn grid(dashboard: &Dashboard) -> Vec<String> {
    let rows = dashboard
        .panels
        .iter()
        .filter(|panel| !panel.panels.is_empty())
        .map(|row| &row.panels[..]);
    [&dashboard.panels[..]]
        .into_iter()
        .chain(rows)
        .flat_map(check_positions)
        .collect()
}

/// Lists panels without area, outside the grid or overlapping.
fn check_positions(panels: &[Panel]) -> Vec<String> {
    let mut problems = Vec::new();
    for (n, panel) in panels.iter().enumerate() {
        let position = panel.grid_pos;
        problems.extend(unless(position.w > 0 && position.h > 0, || {
            format!("{}: empty area: {position:?}", describe(panel))
        }));
        problems.extend(unless(position.x + position.w <= COLUMNS, || {
            format!("{}: beyond the grid: {position:?}", describe(panel))
        }));
        let is_full = !panel.is_row() || (position.x, position.w, position.h) == (0, COLUMNS, 1);
        problems.extend(unless(is_full, || {
            format!(
                "{}: a row must be one line of the full width: {position:?}",
                describe(panel)
            )
        }));
        let overlapping = panels[..n]
            .iter()
            .filter(|before| before.grid_pos.overlaps(&position));
        problems.extend(
            overlapping.map(|before| format!("{}: overlaps {}", describe(panel), describe(before))),
        );
    }
    problems
}

#[test]
fn panels_fit_the_grid_without_overlap() {
    assert_no_problems(grid);
}

pub fn datasources(dashboard: &Dashboard) -> Vec<String> {
    let is_chosen = |source: &Option<Datasource>| {
        source
            .as_ref()
            .is_some_and(|source| source.kind == "prometheus" && source.uid == DATASOURCE)
    };
    let mut problems = check_panels(dashboard, |panel| {
        let mut problems = unless(is_chosen(&panel.datasource), || {
            format!("the data source is not {DATASOURCE}")
        });
        let targets = panel
            .targets
            .iter()
            .filter(|target| !is_chosen(&target.datasource));
        problems.extend(targets.map(|target| {
            format!(
                "the data source of query {} is not {DATASOURCE}",
                target.ref_id
            )
        }));
        problems
    });
    let variables = dashboard
        .query_variables()
        .filter(|variable| !is_chosen(&variable.datasource));
    problems.extend(variables.map(|variable| {
        format!(
            "variable {}: the data source is not {DATASOURCE}",
            variable.name
        )
    }));
    let annotations = dashboard
        .query_annotations()
        .filter(|annotation| !is_chosen(&annotation.datasource));
    problems.extend(annotations.map(|annotation| {
        format!(
            "annotation {}: the data source is not {DATASOURCE}",
            annotation.name
        )
    }));
    problems
}

#[test]
fn all_queries_use_the_chosen_data_source() {
    assert_no_problems(datasources);
}

/// Lists the panels of whole numbers that show 5734 as "6 K".
pub fn whole_numbers(dashboard: &Dashboard) -> Vec<String> {
    check_panels(dashboard, |panel| {
        let defaults = &panel.field_config.defaults;
        let is_rounded = defaults.unit == "short" && defaults.decimals == Some(0);
        unless(!is_rounded, || {
            "whole numbers need the unit \"locale\": \"short\" rounds them to thousands".to_owned()
        })
    })
}

#[test]
fn whole_numbers_are_not_rounded_to_thousands() {
    assert_no_problems(whole_numbers);
}

/// Label matcher of the changes that end a ring.
const RING_END: &str = r#"from="Ringing""#;

/// Lists the queries that leave out some ends of rings, so that answered and not answered are fewer than all.
pub fn ring_ends(dashboard: &Dashboard) -> Vec<String> {
    let complete = ["}", r#",to="CallConnected"}"#, r#",to!="CallConnected"}"#];
    check_panels(dashboard, |panel| {
        let mut problems = Vec::new();
        for target in &panel.targets {
            for rest in target.expr.split(RING_END).skip(1) {
                let is_complete = complete.iter().any(|end| rest.starts_with(end));
                problems.extend(unless(is_complete, || {
                    format!(
                        "query {}: some ends of rings are in no query",
                        target.ref_id
                    )
                }));
            }
        }
        problems
    })
}

#[test]
fn answered_and_unanswered_rings_are_all_rings() {
    assert_no_problems(ring_ends);
}

/// Lists the panels about events that are not in a row whose title says that they need events.
pub fn event_rows(dashboard: &Dashboard) -> Vec<String> {
    let families = markdown::metric_families("Events");
    let mut problems = Vec::new();
    for panel in dashboard.panels() {
        let needs_events = panel
            .targets
            .iter()
            .any(|target| families.iter().any(|family| target.expr.contains(family)));
        let is_named = row_title(dashboard, panel).contains("only with events");
        problems.extend(unless(!needs_events || is_named, || {
            format!(
                "{}: its row does not say that it needs events",
                describe(panel)
            )
        }));
    }
    problems
}

/// Returns the title of the nearest row above a panel.
fn row_title<'a>(dashboard: &'a Dashboard, panel: &Panel) -> &'a str {
    let rows = dashboard.panels.iter().filter(|row| row.is_row());
    let above = rows.filter(|row| row.grid_pos.y <= panel.grid_pos.y);
    let nearest = above.max_by_key(|row| row.grid_pos.y);
    nearest.map_or("", |row| &row.title)
}

#[test]
fn panels_about_events_are_in_a_row_that_says_so() {
    assert_no_problems(event_rows);
}
