"""Audio files in and out, as streams of float blocks ``[C, n]``; nothing else opens them."""

from .channels import channel_groups
from .excerpt import read_excerpt
from .formats import FORMATS, OutputFormat, format_like, parse_bitrate
from .info import AudioInfo
from .reader import AudioReader, open_audio, probe, read_audio
from .resample import Resampler, resample, resampled_length
from .tag_formats import Picture
from .tags import Tags, copy_tags, read_tags
from .verification import check_written
from .writer import AudioWriter

__all__ = [
    "FORMATS",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "OutputFormat",
    "Picture",
    "Resampler",
    "Tags",
    "channel_groups",
    "check_written",
    "copy_tags",
    "format_like",
    "open_audio",
    "parse_bitrate",
    "probe",
    "read_audio",
    "read_excerpt",
    "read_tags",
    "resample",
    "resampled_length",
]
