module record

go 1.26.0

require (
	k8s.io/apimachinery v0.36.3
	k8s.io/kube-openapi v0.0.0-20260317180543-43fb72c5454a
	sigs.k8s.io/structured-merge-diff/v6 v6.3.3
)
