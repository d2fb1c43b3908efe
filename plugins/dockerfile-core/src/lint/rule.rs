//! The rules by name.

use crate::syntax::{quoted, search};

/// A rule of BuildKit's linter, by its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "their names are BuildKit's, their meaning is their description")]
pub enum Rule {
    StageNameCasing,
    FromAsCasing,
    NoEmptyContinuation,
    ConsistentInstructionCasing,
    DuplicateStageName,
    ReservedStageName,
    JSONArgsRecommended,
    MaintainerDeprecated,
    UndefinedArgInFrom,
    WorkdirRelativePath,
    UndefinedVar,
    MultipleInstructionsDisallowed,
    LegacyKeyValueFormat,
    InvalidBaseImagePlatform,
    RedundantTargetPlatform,
    SecretsUsedInArgOrEnv,
    InvalidDefaultArgInFrom,
    FromPlatformFlagConstDisallowed,
    CopyIgnoredFile,
    InvalidDefinitionDescription,
    ExposeProtoCasing,
    ExposeInvalidFormat,
}

impl Rule {
    /// Its name, as `# check=skip=` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::StageNameCasing => "StageNameCasing",
            Rule::FromAsCasing => "FromAsCasing",
            Rule::NoEmptyContinuation => "NoEmptyContinuation",
            Rule::ConsistentInstructionCasing => "ConsistentInstructionCasing",
            Rule::DuplicateStageName => "DuplicateStageName",
            Rule::ReservedStageName => "ReservedStageName",
            Rule::JSONArgsRecommended => "JSONArgsRecommended",
            Rule::MaintainerDeprecated => "MaintainerDeprecated",
            Rule::UndefinedArgInFrom => "UndefinedArgInFrom",
            Rule::WorkdirRelativePath => "WorkdirRelativePath",
            Rule::UndefinedVar => "UndefinedVar",
            Rule::MultipleInstructionsDisallowed => "MultipleInstructionsDisallowed",
            Rule::LegacyKeyValueFormat => "LegacyKeyValueFormat",
            Rule::InvalidBaseImagePlatform => "InvalidBaseImagePlatform",
            Rule::RedundantTargetPlatform => "RedundantTargetPlatform",
            Rule::SecretsUsedInArgOrEnv => "SecretsUsedInArgOrEnv",
            Rule::InvalidDefaultArgInFrom => "InvalidDefaultArgInFrom",
            Rule::FromPlatformFlagConstDisallowed => "FromPlatformFlagConstDisallowed",
            Rule::CopyIgnoredFile => "CopyIgnoredFile",
            Rule::InvalidDefinitionDescription => "InvalidDefinitionDescription",
            Rule::ExposeProtoCasing => "ExposeProtoCasing",
            Rule::ExposeInvalidFormat => "ExposeInvalidFormat",
        }
    }

    /// Only holds if `# check=experimental=` asks for it.
    pub fn experimental(self) -> bool {
        self == Rule::InvalidDefinitionDescription
    }
}

/// What the rules say, in BuildKit's words.
impl Rule {
    /// `StageNameCasing`
    pub fn stage_name_casing(name: &str) -> String {
        format!("Stage name '{name}' should be lowercase")
    }

    /// `FromAsCasing`
    pub fn from_as_casing(from: &str, r#as: &str) -> String {
        format!("'{as}' and '{from}' keywords' casing do not match")
    }

    /// `NoEmptyContinuation`
    pub fn no_empty_continuation() -> String {
        "Empty continuation line".into()
    }

    /// `ConsistentInstructionCasing`
    pub fn consistent_instruction_casing(keyword: &str, casing: &str) -> String {
        format!("Command '{keyword}' should match the case of the command majority ({casing})")
    }

    /// `DuplicateStageName`
    pub fn duplicate_stage_name(name: &str) -> String {
        format!("Duplicate stage name {}, stage names should be unique", quoted(name))
    }

    /// `ReservedStageName`
    pub fn reserved_stage_name(name: &str) -> String {
        format!("Stage name should not use the same name as reserved stage {}", quoted(name))
    }

    /// `JSONArgsRecommended`
    pub fn json_args_recommended(keyword: &str) -> String {
        format!("JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals")
    }

    /// `MaintainerDeprecated`
    pub fn maintainer_deprecated() -> String {
        "Maintainer instruction is deprecated in favor of using label".into()
    }

    /// `UndefinedArgInFrom`; `declared` are the names that there are.
    pub fn undefined_arg_in_from(name: &str, declared: &[&str]) -> String {
        format!("FROM argument '{name}' is not declared{}", did_you_mean("", name, declared))
    }

    /// `UndefinedVar`; `defined` are the names that there are.
    pub fn undefined_var(name: &str, defined: &[&str]) -> String {
        format!("Usage of undefined variable '${name}'{}", did_you_mean("$", name, defined))
    }

    /// `WorkdirRelativePath`
    pub fn workdir_relative_path(path: &str) -> String {
        format!("Relative workdir {} can have unexpected results if the base image changes", quoted(path))
    }

    /// `MultipleInstructionsDisallowed`
    pub fn multiple_instructions_disallowed(keyword: &str) -> String {
        let reason = "because only the last one will be used";
        format!("Multiple {keyword} instructions should not be used in the same stage {reason}")
    }

    /// `LegacyKeyValueFormat`
    pub fn legacy_key_value_format(keyword: &str) -> String {
        format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format")
    }

    /// `InvalidBaseImagePlatform`
    pub fn invalid_base_image_platform(image: &str, actual: &str, expected: &str) -> String {
        let (actual, expected) = (quoted(actual), quoted(expected));
        format!("Base image {image} was pulled with platform {actual}, expected {expected} for current build")
    }

    /// `RedundantTargetPlatform`; `platform` is what stands behind `--platform=`.
    pub fn redundant_target_platform(platform: &str) -> String {
        format!("Setting platform to predefined {platform} in FROM is redundant as this is the default behavior")
    }

    /// `SecretsUsedInArgOrEnv`
    pub fn secrets_used_in_arg_or_env(keyword: &str, name: &str) -> String {
        format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {})", quoted(name))
    }

    /// `InvalidDefaultArgInFrom`; `base` is as it is written.
    pub fn invalid_default_arg_in_from(base: &str) -> String {
        format!("Default value for ARG {base} results in empty or invalid base image name")
    }

    /// `FromPlatformFlagConstDisallowed`
    pub fn from_platform_flag_const_disallowed(platform: &str) -> String {
        format!("FROM --platform flag should not use constant value {}", quoted(platform))
    }

    /// `CopyIgnoredFile`; the command is `Copy` or `Add`.
    pub fn copy_ignored_file(command: &str, path: &str) -> String {
        format!("Attempting to {command} file {} that is excluded by .dockerignore", quoted(path))
    }

    /// `InvalidDefinitionDescription`
    pub fn invalid_definition_description(keyword: &str, name: &str) -> String {
        format!("Comment for {keyword} should follow the format: `# {name} <description>`")
    }

    /// `ExposeProtoCasing`
    pub fn expose_proto_casing(port: &str) -> String {
        format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase")
    }

    /// `ExposeInvalidFormat`
    pub fn expose_invalid_format(port: &str) -> String {
        format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'")
    }
}

fn did_you_mean(sign: &str, name: &str, options: &[&str]) -> String {
    search(name, options, true).map(|option| format!(" (did you mean {sign}{option}?)")).unwrap_or_default()
}
