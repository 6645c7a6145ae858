//! Server: what is known of the place that the console is connected to.

use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::kv::Error;
use crate::kv::backend::{BucketInfo, FactValue, Overview};
use crate::kv::doctor::{Finding, Severity, counted};
use crate::ui::bucket::facts;
use crate::ui::canvas::{Canvas, Hit, Pane};
use crate::ui::context::Context;
use crate::ui::message::{Effect, RequestId};
use crate::ui::remote::Remote;
use crate::ui::shown;
use crate::ui::text::figures;
use crate::ui::theme::Role;
use crate::ui::viewport::{Step, Viewport};
use crate::ui::widgets::wrapped;

/// Below this width names get less room, for what they name to be in sight.
const NARROW: usize = 60;

/// The screen.
#[derive(Debug)]
pub struct Server {
    overview: Remote<Overview>,
    asked: Option<RequestId>,
    /// What is set dangerously.
    findings: Remote<Vec<Finding>>,
    examining: Option<RequestId>,
    /// Which lines are in sight.
    pub viewport: Viewport,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            overview: Remote::Idle,
            asked: None,
            findings: Remote::Idle,
            examining: None,
            viewport: Viewport::default(),
        }
    }
}

impl Server {
    /// Asks what is known now.
    pub fn ask(&mut self, ctx: &mut Context<'_>) {
        if self.asked.is_none() {
            self.overview.ask();
            self.asked = Some(ctx.request(Effect::Overview));
        }
        if self.examining.is_none() {
            self.findings.ask();
            self.examining = Some(ctx.request(Effect::Doctor));
        }
    }

    /// Takes what was found, if it was asked for.
    pub fn examined(&mut self, id: RequestId, answer: Result<Vec<Finding>, Error>) {
        if self.examining == Some(id) {
            self.examining = None;
            self.findings.answer(answer);
        }
    }

    /// Takes the answer, if it is to the question that was asked.
    pub fn answer(&mut self, id: RequestId, answer: Result<Overview, Error>) {
        if self.asked == Some(id) {
            self.asked = None;
            self.overview.answer(answer);
        }
    }

    /// The connection is down: what is shown is what was known.
    pub fn interrupted(&mut self) {
        self.overview.age();
        self.findings.age();
    }

    /// Scrolls.
    pub fn step(&mut self, step: Step) {
        self.viewport.top = step.from(self.viewport.top, self.viewport, usize::MAX / 2);
    }

    /// Draws it.
    pub fn draw(
        &self,
        canvas: &mut Canvas<'_, '_>,
        connection: &[(&'static str, String)],
        buckets: &[BucketInfo],
        area: Rect,
    ) {
        let mut title = vec![canvas.span(" Server ", Role::Title)];
        if self.overview.is_stale() {
            title.push(canvas.span("not up to date ", Role::Warning));
        }
        let inner = canvas.pane(Line::from(title), true, area);
        canvas.hit(area, Hit::Pane(Pane::Server));
        canvas.rows_in(Pane::Server, inner);
        let lines = self.lines(canvas, connection, buckets, usize::from(inner.width));
        let mut viewport = Viewport {
            height: usize::from(inner.height),
            ..self.viewport
        };
        viewport.clamp(lines.len());
        let in_sight = viewport.rows(lines.len());
        for (y, line) in
            (inner.y..).zip(lines.into_iter().skip(in_sight.start).take(in_sight.len()))
        {
            canvas.line(
                line,
                Rect {
                    y,
                    height: 1,
                    ..inner
                },
            );
        }
    }

    fn lines(
        &self,
        canvas: &Canvas<'_, '_>,
        connection: &[(&'static str, String)],
        buckets: &[BucketInfo],
        width: usize,
    ) -> Vec<Line<'static>> {
        let title = |name: &str| Line::from(canvas.span(format!(" {name}"), Role::Title));
        let column = if width < NARROW { 15 } else { 22 };
        let fact = |name: &str, value: String| {
            Line::from(vec![
                canvas.span(format!("   {name:<column$} "), Role::Muted),
                canvas.span(shown::plain(&value), Role::Text),
            ])
        };
        let mut lines = vec![title("This console")];
        lines.extend(
            connection
                .iter()
                .map(|(name, value)| fact(name, value.clone())),
        );
        lines.push(Line::default());
        lines.extend(self.findings(canvas, width));
        lines.push(Line::default());
        lines.push(title("Place"));
        match &self.overview {
            Remote::Idle | Remote::Loading => {
                lines.push(Line::from(canvas.span("   asking …", Role::Muted)));
            }
            Remote::Failed(reason) => {
                let reason = format!("   {}", shown::plain(reason));
                lines.push(Line::from(canvas.span(reason, Role::Danger)));
            }
            Remote::Ready(overview) | Remote::Stale(overview) => {
                lines.push(fact("address", overview.address.clone()));
                lines.push(fact("engine", overview.engine.clone()));
                for section in &overview.sections {
                    lines.push(Line::default());
                    lines.push(title(section.title));
                    for known in &section.facts {
                        lines.push(fact(known.name, in_words(&known.value)));
                    }
                }
            }
        }
        lines.push(Line::default());
        lines.push(title(&format!("Buckets {}", buckets.len())));
        for bucket in buckets {
            lines.push(bucket_line(canvas, bucket, width));
            // Who keeps it, and how far behind: a line each, under it.
            lines.extend(facts::copies(bucket).into_iter().map(|(name, words)| {
                let role = if facts::is_fault(&words) {
                    Role::Danger
                } else {
                    Role::Muted
                };
                let words = format!("{:26}{name} {}", "", shown::plain(&words));
                Line::from(canvas.span(shown::cut(&words, width), role))
            }));
        }
        lines
    }
}

impl Server {
    /// What is set dangerously, the worst first, each with why and the fix.
    fn findings(&self, canvas: &Canvas<'_, '_>, width: usize) -> Vec<Line<'static>> {
        let mut title = vec![canvas.span(" Findings", Role::Title)];
        let mut lines = Vec::new();
        match &self.findings {
            Remote::Idle | Remote::Loading => {
                lines.push(Line::from(canvas.span("   looking …", Role::Muted)));
            }
            Remote::Failed(reason) => {
                let reason = format!("   {}", shown::plain(reason));
                lines.push(Line::from(canvas.span(reason, Role::Danger)));
            }
            Remote::Ready(findings) | Remote::Stale(findings) => {
                if self.findings.is_stale() {
                    title.push(canvas.span(" from before the outage", Role::Warning));
                }
                let counts = [Severity::Severe, Severity::Warning, Severity::Note]
                    .map(|severity| findings.iter().filter(|f| f.severity == severity).count());
                let [severe, warnings, notes] = counts;
                let words = format!(
                    " {severe} severe · {} · {}",
                    counted(warnings, "warning"),
                    counted(notes, "note")
                );
                title.push(canvas.span(words, role_of(severe, warnings)));
                if findings.is_empty() {
                    lines.push(Line::from(canvas.span("   nothing was found", Role::Muted)));
                }
                for finding in findings {
                    lines.extend(finding_lines(canvas, finding, width));
                }
            }
        }
        lines.insert(0, Line::from(title));
        lines
    }
}

fn role_of(severe: usize, warnings: usize) -> Role {
    match (severe, warnings) {
        (0, 0) => Role::Muted,
        (0, _) => Role::Warning,
        _ => Role::Danger,
    }
}

fn finding_lines(canvas: &Canvas<'_, '_>, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let (mark, role) = match finding.severity {
        Severity::Severe => ("✖", Role::Danger),
        Severity::Warning => ("⚠", Role::Warning),
        Severity::Note => ("·", Role::Muted),
    };
    let place = match &finding.bucket {
        Some(bucket) => format!("{bucket}: "),
        None => String::new(),
    };
    let what = format!("{place}{}", finding.what);
    let room = width.saturating_sub(13).max(20);
    let mut lines = Vec::new();
    for (at, part) in wrapped(&shown::plain(&what), room).into_iter().enumerate() {
        let head = match at {
            0 => format!("   {mark} {:<7} ", finding.severity.as_str()),
            _ => " ".repeat(13),
        };
        lines.push(Line::from(vec![
            canvas.span(head, role),
            canvas.span(part, Role::Text),
        ]));
    }
    let more = [
        Some(finding.why.to_owned()),
        finding.fix.as_ref().map(|fix| format!("→ {fix}")),
    ];
    for (text, role) in more.into_iter().flatten().zip([Role::Muted, Role::KeyHint]) {
        let text = shown::plain(&text);
        for part in wrapped(&text, room) {
            let part = format!("{}{part}", " ".repeat(13));
            lines.push(Line::from(canvas.span(part, role)));
        }
    }
    lines
}

fn in_words(value: &FactValue) -> String {
    let of = |used: u64, limit: Option<u64>, words: fn(u64) -> String| match limit {
        Some(limit) if limit > 0 => {
            let bar = figures::bar(used, limit, facts::BAR);
            format!("{} of {} {bar}", words(used), words(limit))
        }
        _ => words(used),
    };
    match value {
        FactValue::Text(words) => words.clone(),
        FactValue::Count { used, limit } => of(*used, *limit, figures::count),
        FactValue::Bytes { used, limit } => of(*used, *limit, figures::size),
    }
}

fn bucket_line(canvas: &Canvas<'_, '_>, bucket: &BucketInfo, width: usize) -> Line<'static> {
    let config = &bucket.config;
    let name = shown::fitted(config.name.as_str(), 22);
    let mut words = vec![
        match bucket.keys {
            1 => format!("{} key", figures::at_most(1)),
            keys => format!("{} keys", figures::at_most(keys)),
        },
        match config.max_bytes {
            Some(limit) => format!(
                "{} of {}",
                figures::size(bucket.bytes),
                facts::limit(Some(limit), Some(bucket.bytes))
            ),
            None => figures::size(bucket.bytes),
        },
        format!("history {}", config.history),
        match config.replicas {
            0 | 1 => config.storage.as_str().to_owned(),
            replicas => format!("{} × {replicas}", config.storage.as_str()),
        },
    ];
    words.extend(config.ttl.map(|ttl| format!("TTL {}", figures::span(ttl))));
    words.extend(
        config
            .mirror
            .as_ref()
            .map(|of| format!("mirror of {}", of.bucket)),
    );
    words.extend((!config.description.is_empty()).then(|| config.description.clone()));
    let words = words.join(" · ");
    let room = width.saturating_sub(26);
    Line::from(vec![
        canvas.span(format!("   {name} "), Role::Text),
        canvas.span(shown::short(&words, room), Role::Muted),
    ])
}
