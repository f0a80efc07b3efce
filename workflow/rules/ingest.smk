rule ingest:
    """Turn a scanner's DICOM into a wave field, or check a wave field that is finished."""
    input:
        mre=lambda wildcards: session_of(wildcards).mre,
        anatomy=lambda wildcards: session_of(wildcards).anatomy or [],
    output:
        directory(f"{SESSION}/wavefield"),
    log:
        f"{LOGS}_ingest.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings.ingest.model_dump_json(),
        anatomy=lambda wildcards, input: ["--anatomy", input.anatomy] if input.anatomy else [],
        source=source_digest(["imaging", "cli/ingest"]),
    shell:
        "palpate ingest {input.mre:q} {params.anatomy:q} --label sub-{wildcards.subject}_ses-{wildcards.session}"
        " --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"
