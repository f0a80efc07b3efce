rule mesh:
    """Fill the wave field's mask with the elements of the inversion."""
    input:
        rules.ingest.output,
    output:
        directory(f"{SESSION}/mesh"),
    log:
        f"{LOGS}_mesh.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings.mesh.model_dump_json(),
        source=source_digest(["meshing", "imaging/wavefield_folder", "cli/mesh"]),
    shell:
        "palpate mesh {input:q} --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"
