"""Products of a finished inversion. Where they share a job of a cluster, `in_turn` lets one after the other run."""


rule maps:
    """Write the stiffness and its uncertainty as DICOM beside the source study."""
    input:
        unpack(inputs_of("maps")),
    output:
        folder=directory(DICOM),
        record=DICOM_RECORD,
    log:
        f"{LOGS}_maps.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=with_draws(4000),
        runtime=by_attempt(30),
        in_turn=1,
    params:
        settings=settings.maps.model_dump_json(),
        scan=option("--scan", "scan"),
        anatomy=option("--anatomy", "anatomy"),
        key=KEY,
        receipt=receipt_of("maps"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate maps {input.mre:q} --wavefield {input.wavefield:q} {params.scan:q} {params.anatomy:q} {params.key:q}"
        " --settings {params.settings:q} --out {output.folder:q}"


rule derived:
    """Write quantities that follow from the stiffness, such as wave speed, with their uncertainty."""
    input:
        unpack(inputs_of("derived")),
    output:
        directory(DERIVED),
    log:
        f"{LOGS}_derived.log",
    # Before the DICOM maps, whose refusal must not cost these.
    priority: 1
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=with_draws(4000),
        runtime=by_attempt(30),
        in_turn=1,
    params:
        settings=settings.derived.model_dump_json(),
        receipt=receipt_of("derived"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate maps {input.mre:q} --derived"
        " --settings {params.settings:q} --out {output:q}"


rule overlay:
    """Lay the stiffness and its uncertainty on the anatomical image."""
    input:
        unpack(inputs_of("overlay")),
    output:
        directory(ANAT),
    log:
        f"{LOGS}_overlay.log",
    # Before the DICOM maps, whose refusal must not cost these.
    priority: 1
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=with_draws(4000),
        runtime=by_attempt(60),
        in_turn=1,
    params:
        receipt=receipt_of("overlay"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate overlay {input.mre:q} --wavefield {input.wavefield:q} --out {output:q}"


rule report:
    """Show one session on one page that opens without a network."""
    input:
        unpack(inputs_of("report")),
    output:
        page=REPORT,
        record=REPORT_RECORD,
    log:
        f"{LOGS}_report.log",
    # Before the DICOM maps, whose refusal must not cost these.
    priority: 1
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=with_draws(4000),
        runtime=by_attempt(30),
        in_turn=1,
    params:
        settings=settings.report.model_dump_json(),
        session=lambda wildcards, output: str(Path(output.page).parent),
        truth=option("--truth", "truth"),
        receipt=receipt_of("report"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate report --session {params.session:q} {params.truth:q}"
        " --settings {params.settings:q} --out {output.page:q}"


rule regions:
    """Write the stiffness of labelled or drawn regions of one session as a table."""
    input:
        unpack(inputs_of("regions")),
    output:
        table=REGIONS,
        record=REGIONS_RECORD,
    log:
        f"{LOGS}_regions.log",
    # Before the DICOM maps, whose refusal must not cost these.
    priority: 1
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=with_draws(2000),
        runtime=by_attempt(30),
        in_turn=1,
    params:
        settings=settings.regions.model_dump_json(),
        session=lambda wildcards, output: str(Path(output.table).parent),
        regions=regions_options,
        key=KEY,
        receipt=receipt_of("regions"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate regions {params.session:q} {params.regions:q} {params.key:q}"
        " --settings {params.settings:q} --out {output.table:q}"


rule group_regions:
    """Gather the regions of all sessions in one table."""
    input:
        unpack(inputs_of("group_regions")),
    output:
        table=GROUP,
        record=GROUP_RECORD,
    log:
        f"{RESULTS}/logs/group_regions.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(1000),
        runtime=by_attempt(10),
    params:
        results=lambda wildcards, output: str(Path(output.table).parent),
        receipt=receipt_of("group_regions"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate regions {params.results:q} --out {output.table:q}"
