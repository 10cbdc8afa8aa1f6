"""What this instrument cannot say, in plain words: it stands under every answer."""

CANNOT_SAY = (
    "Operations are not intelligence: nothing here says that a machine with so many of them would think or learn.",
    "The mapping is one reading of a neuron as a network. Another may need far more, or far fewer, operations for the "
    "same behaviour; an FFT alone does these convolutions with less than a hundredth of the operations.",
    "It is a lower bound by what it leaves out, and none by its counts: fewer Purkinje cells, slower rates or smaller "
    "filters take it below.",
    "How the article's factors are multiplied is our reconstruction: its two equations are pictures.",
    "Ranges marked as assumed are ours; a percentile over assumptions is no measured frequency.",
    "A crossing year says when a machine of that speed may stand, not when anybody knows what to run on it.",
    "Growth that was steady may stop or change; the intervals know only of changes like those since 1993.",
)
