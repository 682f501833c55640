//! The kinds that judge a rollout, shared with Argo Rollouts
//! (`spec/analysis.md` 1), and what is done with them before a run starts:
//! merging templates and resolving arguments.

mod arguments;
mod built_in;
mod checks;
mod experiment;
mod extensions;
mod field_path;
mod merge;
mod metric;
mod run;
mod template;

pub use arguments::{ArgumentError, ResolvedArguments, resolve_arguments};
pub use built_in::{RunFacts, SideFacts, built_in_arguments, target_group_of};
pub use checks::{CheckError, CheckScope, check_metrics, validate_checks};
pub use experiment::{
    Experiment, ExperimentAnalysisRunStatus, ExperimentAnalysisTemplate, ExperimentSpec, ExperimentStatus,
    ExperimentTemplateStatus, PodTemplate,
};
pub use extensions::{EXTENSION_FIELDS, ExtensionError, extensions_of, lost_extensions, with_extensions};
pub use field_path::{FieldPathError, field_path};
pub use merge::{MergeError, MergedTemplates, TEMPLATES_MAX, Templates, merge_templates};
pub use metric::{Baseline, Metric};
pub use run::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, Measurement, MetricResult, RunSummary, TtlStrategy,
};
pub use template::{
    AnalysisTemplate, AnalysisTemplateSpec, Argument, ArgumentSource, ClusterAnalysisTemplate,
    ClusterAnalysisTemplateSpec, DryRun, MeasurementRetention, RunMetadata, SecretKeyReference,
};

/// `phase` of a run or experiment that has not begun.
pub const PHASE_PENDING: &str = "Pending";
/// `phase` of a run or experiment under way.
pub const PHASE_RUNNING: &str = "Running";
/// Final `phase`: all metrics passed.
pub const PHASE_SUCCESSFUL: &str = "Successful";
/// Final `phase`: a metric failed.
pub const PHASE_FAILED: &str = "Failed";
/// Final `phase`: a metric could not be measured.
pub const PHASE_ERROR: &str = "Error";
/// Final `phase`: neither passed nor failed.
pub const PHASE_INCONCLUSIVE: &str = "Inconclusive";
