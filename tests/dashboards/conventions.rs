//! What this project asks of its dashboards, and Grafana does not.
//!
//! Each convention is a function from a dashboard to what is wrong with it, and a test that nothing is. `mutations`
//! proves that they can fail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{self, Dashboard, Datasource, Panel, Variable};

/// What is wrong with a dashboard: one sentence each.
pub type Check = fn(&Dashboard) -> Vec<String>;

const TAG: &str = "ringcentral";
const DATASOURCE: &str = "${datasource}";
const COLUMNS: u32 = 24;

/// No dashboard has anything wrong by this check.
fn holds(check: Check) {
    let wrong = |dashboard: &Dashboard| {
        check(dashboard)
            .into_iter()
            .map(|what| said(dashboard, &what))
            .collect::<Vec<_>>()
    };
    let wrong: Vec<_> = model::all().iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn said(dashboard: &Dashboard, what: &str) -> String {
    format!("{}: {what}", dashboard.stem)
}

/// What is wrong, if anything.
fn unless(right: bool, wrong: impl FnOnce() -> String) -> Vec<String> {
    if right { Vec::new() } else { vec![wrong()] }
}

/// What is wrong with the panels that are no rows, each under its name.
fn of_panels(dashboard: &Dashboard, check: impl Fn(&Panel) -> Vec<String>) -> Vec<String> {
    let wrong = |panel: &Panel| {
        check(panel)
            .into_iter()
            .map(|what| format!("{}: {what}", named(panel)))
            .collect::<Vec<_>>()
    };
    dashboard.panels().flat_map(wrong).collect()
}

fn named(panel: &Panel) -> String {
    format!("panel {:?} (id {})", panel.title, panel.id)
}

pub fn schema(dashboard: &Dashboard) -> Vec<String> {
    let version = dashboard.schema_version;
    unless((41..=42).contains(&version), || {
        format!("schemaVersion is {version}, and not 41 or 42")
    })
}

#[test]
fn the_schema_is_that_of_grafana_12() {
    holds(schema);
}

pub fn no_id(dashboard: &Dashboard) -> Vec<String> {
    unless(dashboard.id.is_none(), || {
        "id is of one database, and must be null".to_owned()
    })
}

#[test]
fn no_dashboard_has_the_id_of_a_database() {
    holds(no_id);
}

pub fn not_editable(dashboard: &Dashboard) -> Vec<String> {
    unless(!dashboard.editable, || {
        "editable must be false: a file that is loaded cannot be saved".to_owned()
    })
}

#[test]
fn no_dashboard_is_editable() {
    holds(not_editable);
}

pub fn uid(dashboard: &Dashboard) -> Vec<String> {
    let uid = dashboard.uid.as_deref();
    unless(uid == Some(&dashboard.stem), || {
        format!("uid is {uid:?}, and not the name of the file")
    })
}

#[test]
fn the_uid_is_the_name_of_the_file() {
    holds(uid);
}

pub fn no_export(dashboard: &Dashboard) -> Vec<String> {
    let there = ["__inputs", "__requires", "__elements"]
        .into_iter()
        .filter(|key| dashboard.json.get(key).is_some());
    there
        .map(|key| {
            format!("{key} is of an export for other people's import; files are loaded as they are")
        })
        .collect()
}

#[test]
fn no_dashboard_is_an_export() {
    holds(no_export);
}

pub fn tag(dashboard: &Dashboard) -> Vec<String> {
    let tags = &dashboard.tags;
    unless(tags.iter().any(|tag| tag == TAG), || {
        format!("tags are {tags:?}, without {TAG:?}")
    })
}

#[test]
fn every_dashboard_has_the_tag() {
    holds(tag);
}

pub fn link(dashboard: &Dashboard) -> Vec<String> {
    let links = |kind: &str| kind == "dashboards";
    let leads = dashboard.links.iter().any(|link| {
        links(&link.kind)
            && link.tags.iter().any(|tag| tag == TAG)
            && link.include_vars
            && link.keep_time
    });
    unless(leads, || {
        format!("no link to dashboards by the tag {TAG:?} that includes variables and time")
    })
}

#[test]
fn every_dashboard_links_to_the_others_with_variables_and_time() {
    holds(link);
}

pub fn urls(dashboard: &Dashboard) -> Vec<String> {
    let uids: BTreeSet<_> = model::all()
        .into_iter()
        .filter_map(|dashboard| dashboard.uid)
        .collect();
    let leads = |url: &str| {
        let uid = url
            .strip_prefix("/d/")
            .map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        url.starts_with("https://") || uid.is_some_and(|uid| uids.contains(uid))
    };
    let mut found = Vec::new();
    collect_urls(&dashboard.json, &mut found);
    found
        .into_iter()
        .filter(|url| !leads(url))
        .map(|url| format!("no dashboard is at {url:?}"))
        .collect()
}

/// Links are in dashboards, panels, fields and overrides alike.
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
fn every_url_leads_to_a_dashboard_that_exists() {
    holds(urls);
}

pub fn datasource(dashboard: &Dashboard) -> Vec<String> {
    let names = dashboard
        .templating
        .list
        .iter()
        .filter(|variable| variable.kind == "datasource");
    let names: Vec<_> = names.map(|variable| &variable.name).collect();
    unless(names == ["datasource"], || {
        format!("variables of kind datasource are {names:?}, and not \"datasource\" alone")
    })
}

#[test]
fn the_only_datasource_variable_is_named_datasource() {
    holds(datasource);
}

pub fn chain(dashboard: &Dashboard) -> Vec<String> {
    let chain = [
        ("job", "ringcentral_up"),
        ("instance", r#"ringcentral_up{job=~"$job"}"#),
        (
            "account",
            r#"ringcentral_up{job=~"$job",instance=~"$instance"}"#,
        ),
    ];
    let asks = |(name, selector): (&str, &str)| {
        let query = dashboard
            .variable(name)
            .map(|variable| variable.query.as_str());
        let wanted = format!("label_values({selector}, {name})");
        unless(query == Some(&wanted), || {
            format!("variable {name} asks {query:?}, and not {wanted:?}")
        })
    };
    chain.into_iter().flat_map(asks).collect()
}

#[test]
fn job_leads_to_instance_and_both_to_account() {
    holds(chain);
}

pub fn choice(dashboard: &Dashboard) -> Vec<String> {
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
                "refresh is not 2, that is, when the time range changes",
            ),
        ]
        .into_iter()
        .flat_map(|(right, what)| unless(right, || format!("variable {}: {what}", variable.name)))
        .collect::<Vec<_>>()
    };
    dashboard.queried().flat_map(settings).collect()
}

#[test]
fn every_variable_takes_several_values_or_all_that_are_there() {
    holds(choice);
}

pub fn title(dashboard: &Dashboard) -> Vec<String> {
    of_panels(dashboard, |panel| {
        unless(!panel.title.trim().is_empty(), || "no title".to_owned())
    })
}

#[test]
fn every_panel_has_a_title() {
    holds(title);
}

pub fn titles_differ(dashboard: &Dashboard) -> Vec<String> {
    let mut ids: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for panel in dashboard.panels().filter(|panel| !panel.title.is_empty()) {
        ids.entry(&panel.title).or_default().push(panel.id);
    }
    let several = ids.into_iter().filter(|(_, ids)| ids.len() > 1);
    several
        .map(|(title, ids)| format!("panels {ids:?} all have the title {title:?}"))
        .collect()
}

#[test]
fn no_two_panels_have_the_same_title() {
    holds(titles_differ);
}

pub fn description(dashboard: &Dashboard) -> Vec<String> {
    // Fewer words are a title, and say nothing new.
    let is_sentence = |text: &str| {
        text.split_whitespace().count() >= 5 && text.starts_with(|c: char| c.is_uppercase())
    };
    of_panels(dashboard, |panel| {
        let text = &panel.description;
        let mut wrong = unless(is_sentence(text), || {
            format!("the description is no sentence: {text:?}")
        });
        wrong.extend(unless(text.ends_with('.'), || {
            format!("the description has no full stop at its end: {text:?}")
        }));
        wrong
    })
}

#[test]
fn every_panel_is_described_in_sentences() {
    holds(description);
}

pub fn unit(dashboard: &Dashboard) -> Vec<String> {
    of_panels(dashboard, |panel| {
        unless(!panel.field_config.defaults.unit.is_empty(), || {
            "no unit".to_owned()
        })
    })
}

#[test]
fn every_panel_has_a_unit() {
    holds(unit);
}

/// One step alone is no threshold: it begins at minus infinity.
pub fn colour(dashboard: &Dashboard) -> Vec<String> {
    of_panels(dashboard, |panel| {
        let field = &panel.field_config.defaults;
        let is_fixed = field.color.mode == "fixed" && field.color.fixed_color.is_some();
        let has_thresholds = field.color.mode == "thresholds" && field.thresholds.steps.len() > 1;
        let right = !["stat", "gauge"].contains(&panel.kind.as_str()) || is_fixed || has_thresholds;
        unless(right, || {
            format!("neither thresholds nor a fixed colour: {:?}", field.color)
        })
    })
}

#[test]
fn every_single_number_has_thresholds_or_a_fixed_colour() {
    holds(colour);
}

pub fn ids_differ(dashboard: &Dashboard) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = dashboard
        .panels
        .iter()
        .flat_map(|panel| [panel].into_iter().chain(&panel.panels));
    all.filter(|panel| !seen.insert(panel.id))
        .map(|panel| format!("{}: another has its id", named(panel)))
        .collect()
}

#[test]
fn every_panel_and_row_has_an_id_of_its_own() {
    holds(ids_differ);
}

pub fn grid(dashboard: &Dashboard) -> Vec<String> {
    let within = dashboard
        .panels
        .iter()
        .filter(|panel| !panel.panels.is_empty())
        .map(|row| &row.panels[..]);
    [&dashboard.panels[..]]
        .into_iter()
        .chain(within)
        .flat_map(placed)
        .collect()
}

fn placed(panels: &[Panel]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (n, panel) in panels.iter().enumerate() {
        let place = panel.grid_pos;
        wrong.extend(unless(place.w > 0 && place.h > 0, || {
            format!("{}: no room: {place:?}", named(panel))
        }));
        wrong.extend(unless(place.x + place.w <= COLUMNS, || {
            format!("{}: beyond the grid: {place:?}", named(panel))
        }));
        let is_full = !panel.is_row() || (place.x, place.w, place.h) == (0, COLUMNS, 1);
        wrong.extend(unless(is_full, || {
            format!("{}: a row is one line, and full: {place:?}", named(panel))
        }));
        let over = panels[..n]
            .iter()
            .filter(|before| before.grid_pos.overlaps(&place));
        wrong
            .extend(over.map(|before| format!("{}: it lies over {}", named(panel), named(before))));
    }
    wrong
}

#[test]
fn nothing_overlaps_and_nothing_leaves_the_grid() {
    holds(grid);
}

pub fn sources(dashboard: &Dashboard) -> Vec<String> {
    let is_chosen = |source: &Option<Datasource>| {
        source
            .as_ref()
            .is_some_and(|source| source.kind == "prometheus" && source.uid == DATASOURCE)
    };
    let mut wrong = of_panels(dashboard, |panel| {
        let mut wrong = unless(is_chosen(&panel.datasource), || {
            format!("its data source is not {DATASOURCE}")
        });
        let targets = panel
            .targets
            .iter()
            .filter(|target| !is_chosen(&target.datasource));
        wrong.extend(targets.map(|target| {
            format!(
                "the data source of query {} is not {DATASOURCE}",
                target.ref_id
            )
        }));
        wrong
    });
    let variables = dashboard
        .queried()
        .filter(|variable| !is_chosen(&variable.datasource));
    wrong.extend(variables.map(|variable| {
        format!(
            "variable {}: its data source is not {DATASOURCE}",
            variable.name
        )
    }));
    let annotations = dashboard
        .asked()
        .filter(|annotation| !is_chosen(&annotation.datasource));
    wrong.extend(annotations.map(|one| {
        format!(
            "annotation {}: its data source is not {DATASOURCE}",
            one.name
        )
    }));
    wrong
}

#[test]
fn everything_asks_the_chosen_data_source() {
    holds(sources);
}
