"""The file names that libsndfile's containers go by. Imports nothing."""

AUDIO_SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp1"),
        *(".mp2", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist"),
        *(".voc", ".pvf", ".paf", ".sf", ".ircam", ".iff", ".8svx", ".svx", ".avr", ".htk"),
        *(".mat", ".sds", ".wve", ".xi"),
    }
)
