"""Any length of samples to stems: chunks, overlap-add, whole recordings; no file is opened here."""
