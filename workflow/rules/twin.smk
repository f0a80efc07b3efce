rule tumour:
    """Bring a tumour's images of every date, its treatments and its stiffness onto one grid."""
    input:
        unpack(inputs_of("tumour")),
    output:
        history=HISTORY,
        record=HISTORY_RECORD,
    log:
        f"{TWIN_LOGS}_tumour.log",
    priority: FIRST
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(8000),
        runtime=by_attempt(60),
    params:
        settings=settings.tumour.model_dump_json(),
        table=str(settings.sessions),
        drugs=[word for drug in settings.twin.drugs for word in ("--drug", drug)],
        stiffness=stiffness_options,
        key=KEY,
        box_mm=f"{settings.twin.displacement_box_mm if settings.twin.mechanics else 0:g}",
        voxel_mm=f"{settings.twin.voxel_mm:g}",
        receipt=receipt_of("tumour"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate tumour {params.table:q} --subject {wildcards.subject} {params.drugs:q} {params.stiffness:q} {params.key:q}"
        " --box-mm {params.box_mm} --voxel-mm {params.voxel_mm} --settings {params.settings:q} --out {output.history:q}"


rule calibrate:
    """Find the posterior of a tumour's growth and of the effects of its treatment."""
    input:
        unpack(inputs_of("calibrate")),
    output:
        directory(CALIBRATION),
    log:
        f"{TWIN_LOGS}_calibrate.log",
    priority: FIRST
    conda:
        "../../envs/palpate.yaml"
    threads: ranks_of_twin(CALIBRATION)
    resources:
        mpi=twin_launcher,
        tasks=lambda wildcards, threads: threads,
        cpus_per_task=1,
        mem_mb=memory_of_twin,
        mem_mb_per_cpu=memory_of_twin_rank,
        runtime=by_attempt(240),
    params:
        settings=settings.twin.model_dump_json(),
        start=start_of_twin,
        receipt=receipt_of("calibrate"),
    shell:
        "rm -f {log:q}.failed; SLURM_KILL_BAD_EXIT=1 PALPATE_FAILURE={log:q}.failed PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " {params.start} palpate calibrate {input.history:q} --settings {params.settings:q} --out {output:q}"
        " --ranks {threads} || python -m palpate.failure_note {log:q}.failed {log:q} $?"


rule tetrahedra:
    """Mesh the tissue that a tumour grows in, by the labels of its first scan."""
    input:
        unpack(inputs_of("tetrahedra")),
    output:
        directory(TISSUE),
    log:
        f"{TWIN_LOGS}_tetrahedra.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(10000),
        runtime=by_attempt(60),
    params:
        settings=settings.mesh.model_dump_json(),
        receipt=receipt_of("tetrahedra"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate mesh {input.labels:q} --names {input.names:q} --settings {params.settings:q} --out {output:q}"


rule forecast:
    """Forecast every draw of a calibrated tumour through the planned treatment."""
    input:
        unpack(inputs_of("forecast")),
    output:
        directory(FORECAST),
    log:
        f"{TWIN_LOGS}_forecast.log",
    priority: FIRST
    conda:
        "../../envs/palpate.yaml"
    threads: ranks_of_twin(FORECAST)
    resources:
        mpi=twin_launcher,
        tasks=lambda wildcards, threads: threads,
        cpus_per_task=1,
        mem_mb=memory_of_twin,
        mem_mb_per_cpu=memory_of_twin_rank,
        runtime=by_attempt(120),
    params:
        settings=settings.forecast.model_dump_json(),
        mesh=option("--mesh", "mesh"),
        start=start_of_twin,
        receipt=receipt_of("forecast"),
    shell:
        "rm -f {log:q}.failed; SLURM_KILL_BAD_EXIT=1 PALPATE_FAILURE={log:q}.failed PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " {params.start} palpate forecast {input.calibration:q} {params.mesh:q} --settings {params.settings:q}"
        " --out {output:q} --ranks {threads} || python -m palpate.failure_note {log:q}.failed {log:q} $?"


rule outlook:
    """Write the forecast report of a tumour: its past and forecast on one page that opens without a network."""
    input:
        unpack(inputs_of("outlook")),
    output:
        OUTLOOK,
    log:
        f"{TWIN_LOGS}_outlook.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(4000),
        runtime=by_attempt(30),
    params:
        settings=settings.report.model_dump_json(),
        anatomy=option("--anatomy", "anatomy"),
        date=date_option,
        receipt=receipt_of("outlook"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate outlook {input.calibration:q} --forecast {input.forecast:q} {params.anatomy:q} {params.date:q}"
        " --settings {params.settings:q} --out {output:q}"


rule forecast_dicom:
    """Write the forecast of a tumour as DICOM on the T1 of its first scan."""
    input:
        unpack(inputs_of("forecast_dicom")),
    output:
        folder=directory(TWIN_DICOM),
        record=TWIN_DICOM_RECORD,
    log:
        f"{TWIN_LOGS}_forecast_dicom.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(4000),
        runtime=by_attempt(30),
    params:
        settings=settings.maps.model_dump_json(),
        key=KEY,
        receipt=receipt_of("forecast_dicom"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate maps {input.forecast:q} --anatomy {input.anatomy:q} {params.key:q}"
        " --settings {params.settings:q} --out {output.folder:q}"
