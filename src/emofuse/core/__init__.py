"""The vocabulary of emofuse: plain, frozen, validated nouns. numpy only, no I/O."""
