"""The file names that containers go by. Imports nothing."""

# What libsndfile reads, but for .mat: that is more often an annotation beside a sound than a sound.
AUDIO_SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp1"),
        *(".mp2", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist"),
        *(".voc", ".pvf", ".paf", ".sf", ".ircam", ".iff", ".8svx", ".svx", ".avr", ".htk"),
        *(".sds", ".wve", ".xi"),
    }
)
# What ffmpeg reads besides.
FFMPEG_AUDIO_SUFFIXES = frozenset(
    {
        *(".m4a", ".m4b", ".aac", ".mka", ".webm", ".wma", ".3gp", ".amr", ".ac3", ".eac3"),
        *(".dts", ".ape", ".wv", ".tta", ".dsf", ".dff", ".mpc", ".ra"),
    }
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".flv", ".ts", ".mts", ".m2ts", ".mpg", ".wmv"}
)
