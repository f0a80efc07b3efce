rule invert:
    """Recover the stiffness posterior of one session."""
    input:
        wavefield=rules.ingest.output,
        mesh=rules.mesh.output,
        labels=lambda wildcards: session_of(wildcards).labels or [],
    output:
        directory(f"{SESSION}/mre"),
    log:
        f"{LOGS}_invert.log",
    benchmark:
        f"{LOGS}_invert.tsv"
    conda:
        "../../envs/palpate.yaml"
    threads: 64
    resources:
        # UCX_TLS keeps ranks on one machine off network devices that a guest may not open;
        # a cluster's profile replaces the whole launcher.
        mpi="mpiexec -genv UCX_TLS self,sm,tcp",
        tasks=lambda wildcards, threads: threads,
        mem_mb_per_cpu=4000,
        runtime=480,
    params:
        settings=settings.inversion.model_dump_json(),
        labels=lambda wildcards, input: ["--labels", input.labels] if input.labels else [],
        source=source_digest(["solvers", "meshing", "cli/invert"]),
    shell:
        "{resources.mpi} -n {resources.tasks} palpate invert {input.wavefield:q} --mesh {input.mesh:q} {params.labels:q}"
        " --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"
