rule tumour:
    """Bring a tumour's images of every date, its treatments and its stiffness onto one grid."""
    input:
        unpack(tumour_sources),
        table=str(settings.sessions),
    output:
        history=f"{TWIN}/history.h5",
        record=f"{TWIN}/history.json",
    log:
        f"{TWIN_LOGS}_tumour.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=settings.tumour.model_dump_json(),
        drugs=[word for drug in settings.twin.drugs for word in ("--drug", drug)],
        stiffness=stiffness_options,
        key=KEY,
        box=f"{settings.twin.displacement_box_mm if settings.twin.mechanics else 0:g}",
        voxel=f"{settings.twin.voxel_mm:g}",
        source=source_digest(["imaging", "cli/tumour"]),
    shell:
        "palpate tumour {input.table:q} --subject {wildcards.subject} {params.drugs:q} {params.stiffness:q} {params.key:q}"
        " --box {params.box} --voxel {params.voxel} --settings {params.settings:q} --out {output.history:q} 2> >(tee {log:q} >&2)"


rule calibrate:
    """Find the posterior of a tumour's growth and of what treatment does to it."""
    input:
        rules.tumour.output.history,
    output:
        directory(f"{TWIN}/calibration"),
    log:
        f"{TWIN_LOGS}_calibrate.log",
    benchmark:
        f"{TWIN_LOGS}_calibrate.tsv"
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings.twin.model_dump_json(),
        source=source_digest(["twin", "solvers/growth", "cli/calibrate"]),
    shell:
        "palpate calibrate {input:q} --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"


rule tetrahedra:
    """Mesh the tissue that a tumour grows in, by the labels of its first scan."""
    input:
        unpack(first_labels),
    output:
        directory(f"{TWIN}/mesh"),
    log:
        f"{TWIN_LOGS}_tetrahedra.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=10000,
        runtime=60,
    params:
        settings=settings.mesh.model_dump_json(),
        source=source_digest(["meshing/conforming", "cli/mesh"]),
    shell:
        "palpate mesh {input.labels:q} --names {input.names:q} --settings {params.settings:q} --out {output:q}"
        " 2> >(tee {log:q} >&2)"


rule forecast:
    """Let every draw of a calibrated tumour grow on through what is planned."""
    input:
        unpack(tissue_mesh),
        calibration=rules.calibrate.output,
    output:
        directory(f"{TWIN}/forecast"),
    log:
        f"{TWIN_LOGS}_forecast.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        settings=settings.forecast.model_dump_json(),
        mesh=mesh_options,
        source=source_digest(["twin", "solvers/growth", "meshing/transfer", "meshing/field_file", "cli/forecast"]),
    shell:
        "palpate forecast {input.calibration:q} {params.mesh:q} --settings {params.settings:q} --out {output:q}"
        " 2> >(tee {log:q} >&2)"


rule outlook:
    """Show a tumour's past and forecast on one page that opens without a network."""
    input:
        calibration=rules.calibrate.output,
        forecast=rules.forecast.output,
    output:
        f"{TWIN}/outlook.html",
    log:
        f"{TWIN_LOGS}_outlook.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        source=source_digest(["service", "cli/outlook"]),
    shell:
        "palpate outlook {input.calibration:q} --forecast {input.forecast:q} --out {output:q} 2> >(tee {log:q} >&2)"
