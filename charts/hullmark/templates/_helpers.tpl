{{- define "hullmark.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "hullmark.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "hullmark.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hullmark.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hullmark.labels" -}}
{{ include "hullmark.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: hullmark
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hullmark.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "hullmark.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "hullmark.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secret with the authority that all replicas share. */}}
{{- define "hullmark.authoritySecret" -}}
{{ include "hullmark.fullname" . }}-authority
{{- end }}

{{/* The Secret with the certificate, where Hullmark does not make it. */}}
{{- define "hullmark.certificateSecret" -}}
{{- if eq .Values.certificates.mode "secret" -}}
{{ .Values.certificates.secretName }}
{{- else -}}
{{ include "hullmark.fullname" . }}-certificate
{{- end }}
{{- end }}

{{/* "yes": Hullmark makes and keeps the webhook configuration. */}}
{{- define "hullmark.keepsWebhook" -}}
{{- if eq .Values.certificates.mode "hullmark" }}yes{{ end }}
{{- end }}

{{/* YAML reads a bare off as false. */}}
{{- define "hullmark.starterMode" -}}
{{- toString .Values.starterPolicies.mode | replace "false" "off" }}
{{- end }}

{{- define "hullmark.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "hullmark.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}
