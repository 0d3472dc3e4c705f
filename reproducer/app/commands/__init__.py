"""The commands of `reproduce`: what each prints. The work is done in the modules beside."""
