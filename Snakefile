"""Workflow from a table of sessions to stiffness maps with their uncertainty."""

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/uptodate.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/mesh.smk"
include: "workflow/rules/inversion.smk"
include: "workflow/rules/outputs.smk"
include: "workflow/rules/twin.smk"
include: "workflow/rules/study.smk"


rule all:
    default_target: True
    input:
        session_results(),
