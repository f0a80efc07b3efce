rule maps:
    """Write the stiffness and its uncertainty as DICOM beside the source study."""
    input:
        mre=rules.invert.output,
        wavefield=rules.ingest.output,
        scan=scan_of_maps,
    output:
        directory(f"{SESSION}/dicom"),
    log:
        f"{LOGS}_maps.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings.maps.model_dump_json(),
        scan=lambda wildcards, input: ["--scan", input.scan] if input.scan else [],
        key=KEY,
        source=source_digest(["imaging", "cli/maps"]),
    shell:
        "palpate maps {input.mre:q} --wavefield {input.wavefield:q} {params.scan:q} {params.key:q}"
        " --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"


rule overlay:
    """Lay the stiffness and its uncertainty on the anatomical image."""
    input:
        mre=rules.invert.output,
        wavefield=rules.ingest.output,
    output:
        directory(f"{SESSION}/anat"),
    log:
        f"{LOGS}_overlay.log",
    # Before the DICOM maps, whose refusal must not cost these.
    priority: 1
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        source=source_digest(["imaging", "cli/overlay"]),
    shell:
        "palpate overlay {input.mre:q} --wavefield {input.wavefield:q} --out {output:q} 2> >(tee {log:q} >&2)"


rule report:
    """Show one session on one page that opens without a network."""
    input:
        wavefield=rules.ingest.output,
        mre=rules.invert.output,
        truth=lambda wildcards: session_of(wildcards).truth or [],
    output:
        f"{SESSION}/report.html",
    log:
        f"{LOGS}_report.log",
    # Before the DICOM maps, whose refusal must not cost these.
    priority: 1
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings.report.model_dump_json(),
        session=lambda wildcards, output: str(Path(output[0]).parent),
        truth=lambda wildcards, input: ["--truth", input.truth] if input.truth else [],
        source=source_digest(["service", "imaging/maps", "cli/report"]),
    shell:
        "palpate report --session {params.session:q} {params.truth:q}"
        " --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"
