// A process for each slide of a folder, as part of a Nextflow pipeline:
//     nextflow run examples/nextflow.nf --slides 'SLIDES/*.svs' --results RESULTS
params.slides = 'slides/*.svs'
params.results = 'results'

process FIND_GLANDS {
    cpus 4
    memory '4 GB'
    publishDir params.results, mode: 'copy'

    input:
    path slide

    output:
    path 'out/*'

    script:
    """
    glandseg infer ${slide} --out out --threads ${task.cpus} --max-ram ${task.memory.toGiga() - 1}
    """
}

workflow {
    FIND_GLANDS(Channel.fromPath(params.slides))
}
