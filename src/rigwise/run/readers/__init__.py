"""Readers of the usual files, as Datasets for a Task: `rigwise.data`.

tokens    numbers of tokens in flat binary files, memory-mapped          write_tokens makes such a file
arrays    NumPy arrays, .npy files (memory-mapped) and .npz archives
images    a folder of pictures, one subfolder a class                    needs pillow
shards    WebDataset tar files
hub       a Hugging Face dataset, whole or streamed                      needs datasets

All look at their files when they are made: what is missing, empty or cut off is an error before training begins.
"""

from rigwise.run.readers.arrays import Arrays, arrays
from rigwise.run.readers.hub import HubRows, HubStream, hub
from rigwise.run.readers.images import Images, images
from rigwise.run.readers.shards import Shards, shards
from rigwise.run.readers.tokens import Tokens, tokens, write_tokens

__all__ = [
    "Arrays",
    "HubRows",
    "HubStream",
    "Images",
    "Shards",
    "Tokens",
    "arrays",
    "hub",
    "images",
    "shards",
    "tokens",
    "write_tokens",
]
